// tools/mxq/interrupt.h - an end that is asked for: by Ctrl-C, TERM, or the terminal going away.
#pragma once

namespace mx::mxq {

// From now on HUP, INT and TERM are counted (those that the caller had ignored stay so), and a
// reader of our output that goes away (PIPE) ends nothing. System calls end with EINTR.
void count_interrupts();
int interrupts();

}  // namespace mx::mxq
