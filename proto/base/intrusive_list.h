// proto/base/intrusive_list.h - doubly linked list whose links live in the elements: no allocation,
// O(1) removal. An element is in at most one list by a given link; a destroyed element must be in
// none.
#pragma once

#include <cstddef>

#include "proto/base/assert.h"

namespace mx {

struct ListLink {
  ListLink* next = nullptr;
  ListLink* previous = nullptr;
  bool linked() const { return next != nullptr; }
  ListLink() = default;
  ListLink(const ListLink&) = delete;
  ListLink& operator=(const ListLink&) = delete;
  ~ListLink() { MX_ASSERT(!linked()); }
};

// List of T by its member `Link`. Not thread safe; elements are owned elsewhere and outlive their
// membership.
template <typename T, ListLink T::* Link>
class IntrusiveList {
 public:
  IntrusiveList() { head_.next = head_.previous = &head_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;
  ~IntrusiveList() {
    MX_ASSERT(empty());
    head_.next = head_.previous = nullptr;
  }

  bool empty() const { return head_.next == &head_; }
  size_t size() const { return size_; }
  T* front() { return empty() ? nullptr : owner(head_.next); }
  T* next(T& element) {
    ListLink* link = (element.*Link).next;
    return link == &head_ ? nullptr : owner(link);
  }
  void push_back(T& element) { insert_before(head_, element.*Link); }
  void push_front(T& element) { insert_before(*head_.next, element.*Link); }
  void remove(T& element) {
    ListLink& link = element.*Link;
    MX_ASSERT(link.linked() && size_ > 0);
    link.previous->next = link.next;
    link.next->previous = link.previous;
    link.next = link.previous = nullptr;
    --size_;
  }
  T* pop_front() {
    T* element = front();
    if (element) remove(*element);
    return element;
  }

 private:
  void insert_before(ListLink& where, ListLink& link) {
    MX_ASSERT(!link.linked());
    link.next = &where;
    link.previous = where.previous;
    where.previous->next = &link;
    where.previous = &link;
    ++size_;
  }
  static T* owner(ListLink* link) {
    const T* none = nullptr;
    const auto offset = reinterpret_cast<const std::byte*>(&(none->*Link)) -
                        reinterpret_cast<const std::byte*>(none);
    return reinterpret_cast<T*>(reinterpret_cast<std::byte*>(link) - offset);
  }

  ListLink head_;
  size_t size_ = 0;
};

}  // namespace mx
