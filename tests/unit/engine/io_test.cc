#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "engine/io/buffer_ring.h"
#include "engine/io/endpoint.h"
#include "engine/io/kernel.h"
#include "engine/io/op.h"
#include "engine/io/ring.h"
#include "engine/io/slot_pool.h"

namespace mx::io {
namespace {

TEST(Op, SurvivesPackingAtItsLimits) {
  for (const Op op : {Op{0, 0, 0}, Op{255, 0xFFFFFF, UINT32_MAX}, Op{16, 1, 2}}) {
    const Op back = Op::unpack(op.pack());
    EXPECT_EQ(back.kind, op.kind);
    EXPECT_EQ(back.generation, op.generation);
    EXPECT_EQ(back.slot, op.slot);
  }
}

TEST(SlotPool, GivesAFreedSlotANewGenerationSoThatLateCompletionsMiss) {
  SlotPool<int> pool(2);
  uint32_t slot = 0;
  ASSERT_NE(pool.make(&slot, 7), nullptr);
  const Op before = pool.op(16, slot);
  ASSERT_NE(pool.find(before), nullptr);
  pool.free(slot);
  EXPECT_EQ(pool.find(before), nullptr);
  uint32_t again = 0;
  ASSERT_NE(pool.make(&again, 8), nullptr);
  EXPECT_EQ(again, slot);
  EXPECT_EQ(pool.find(before), nullptr);
  EXPECT_EQ(*pool.find(pool.op(16, again)), 8);
}

TEST(SlotPool, RefusesOneMoreThanItsLimit) {
  SlotPool<int> pool(65);
  uint32_t slot = 0;
  for (int i = 0; i < 65; ++i) ASSERT_NE(pool.make(&slot, i), nullptr);
  EXPECT_EQ(pool.make(&slot, 65), nullptr);
  EXPECT_EQ(pool.used(), 65U);
}

TEST(Endpoint, ReadsAddressesAndRefusesNames) {
  EXPECT_EQ(parse_endpoint("127.0.0.1", 25)->ip_text().view(), "127.0.0.1");
  EXPECT_EQ(parse_endpoint("[::1]", 25)->ip_text().view(), "::1");
  EXPECT_EQ(parse_endpoint("ipv6:2001:db8::1", 2525)->port(), 2525);
  EXPECT_FALSE(parse_endpoint("localhost", 25));
  EXPECT_FALSE(parse_endpoint("", 25));
  EXPECT_FALSE(parse_endpoint("1.2.3", 25));
}

TEST(Ring, ReceivesIntoProvidedBuffersAndReportsNoBuffersAsSuch) {
  auto ring = Ring::create();
  ASSERT_TRUE(ring) << ring.error();
  auto buffers = BufferRing::create(*ring, 1, 1, 64);
  ASSERT_TRUE(buffers) << buffers.error();
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  const Fd a(pair[0]), b(pair[1]);
  ASSERT_EQ(::write(b.get(), "hello", 5), 5);
  ring->recv_select(a.get(), 1, false, {16, 3, 4});
  Completion completion[4];
  ASSERT_EQ(ring->turn(seconds(5), completion), 1U);
  EXPECT_EQ(completion[0].op.kind, 16);
  EXPECT_EQ(completion[0].op.generation, 3U);
  ASSERT_EQ(completion[0].result, 5);
  EXPECT_EQ(as_text(buffers->received(completion[0])), "hello");
  EXPECT_EQ(buffers->free(), 0U);
  // The only buffer is in use: the next receive says so instead of waiting.
  ASSERT_EQ(::write(b.get(), "x", 1), 1);
  ring->recv_select(a.get(), 1, false, {16, 3, 5});
  Completion second[4];
  ASSERT_EQ(ring->turn(seconds(5), second), 1U);
  EXPECT_EQ(second[0].result, -ENOBUFS);
  buffers->release(completion[0]);
  buffers->publish();
  ring->recv_select(a.get(), 1, false, {16, 3, 6});
  ASSERT_EQ(ring->turn(seconds(5), second), 1U);
  EXPECT_EQ(second[0].result, 1);
}

TEST(Ring, EndsAWaitAtItsTimeout) {
  auto ring = Ring::create();
  ASSERT_TRUE(ring) << ring.error();
  Completion completion[1];
  EXPECT_EQ(ring->turn(milliseconds(20), completion), 0U);
}

// What an attacker who can write submission entries would ask for.
TEST(Ring, RefusesOperationsThatItHasNoFunctionFor) {
  auto ring = Ring::create();
  ASSERT_TRUE(ring) << ring.error();
  const auto result_of = [&](auto prepare) {
    io_uring_sqe* entry = io_uring_get_sqe(&ring->kernel()->ring);
    prepare(entry);
    entry->user_data = Op{16, 1, 1}.pack();
    Completion done[1];
    EXPECT_EQ(ring->turn(seconds(1), done), 1U);
    return done[0].result;
  };
  const auto open = [](io_uring_sqe* e) { io_uring_prep_openat(e, AT_FDCWD, "/", O_RDONLY, 0); };
  const auto unlink = [](io_uring_sqe* e) { io_uring_prep_unlinkat(e, -1, "/nothing", 0); };
  const auto nop = [](io_uring_sqe* e) { io_uring_prep_nop(e); };
  EXPECT_EQ(result_of(open), -EACCES);
  EXPECT_EQ(result_of(unlink), -EACCES);
  EXPECT_EQ(result_of(nop), -EACCES);
  // An operation that is allowed, with a flag that is not.
  EXPECT_EQ(result_of([](io_uring_sqe* e) {
              io_uring_prep_poll_add(e, 0, 0);
              e->flags |= IOSQE_ASYNC;
            }),
            -EACCES);
  EXPECT_EQ(io_uring_register_files_sparse(&ring->kernel()->ring, 8), -EACCES);
}

TEST(Ring, FindsEverythingItNeedsHere) {
  EXPECT_EQ(missing_ring_features(), "");
}

}  // namespace
}  // namespace mx::io
