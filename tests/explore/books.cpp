// SPDX-License-Identifier: MIT

// The books of checked_ref beside its word, in what page_ref's own protocols leave to them.

#include "pinref/observe/checked_ref.hpp"

#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;

struct failing_misuse {
  void operator()(const pinref::misuse& found) const { check(false, pinref::to_string(found.kind)); }
};

// One freezes its references, and gives them back, while others take and release what is theirs.
template <class Layout, class Sync = explored_sync>
void frozen_beside_holders(execution& x) {
  auto& ref = x.make<pinref::checked_ref<ref_of<Layout, Sync>, failing_misuse>>();
  x.name(ref, "word");
  ref.init(2);
  x.thread([&ref] {
    if (ref.try_pin() == taken) check(ref.unpin() != pinref::release_result::underflow, "a rightful release");
  });
  x.thread([&ref] {
    if (ref.try_get() == taken) check(ref.put() != pinref::release_result::underflow, "a rightful release");
  });
  x.thread([&ref] {
    if (ref.freeze(2)) ref.unfreeze(2);
    check(ref.put() != pinref::release_result::underflow, "a rightful release");
  });
  x.join();
  check(ref.put() == last, "the last holder is told");
}

explorer::ghost<int>* misuses;
struct count_misuse {
  void operator()(const pinref::misuse&) const { misuses->add(1); }
};

// Two release what one of them holds, of a page that somebody else keeps alive with a hold of the other kind.
template <class Layout, pinref::hold Mode>
void released_twice(execution& x) {
  misuses = &x.make<explorer::ghost<int>>(0);
  auto& ref = x.make<pinref::checked_ref<ref_of<Layout>, count_misuse>>();
  x.name(ref, "word");
  ref.init();
  check(ref.try_pin() == taken, "both kinds are held once");
  for (int i = 0; i != 2; ++i) x.thread([&ref] { (void)(Mode == pinref::hold::pin ? ref.unpin() : ref.put()); });
  x.join();
  check(misuses->get() == 1, "the release of what is not held is reported, the other one is not");
  check((Mode == pinref::hold::pin ? ref.put() : ref.unpin()) == last, "and nothing else has gone");
}

PROTOCOL("the books of a page that is frozen beside holders agree with its word", frozen_beside_holders<pinref::bias64>,
         frozen_beside_holders<tiny>, frozen_beside_holders<pinref::split32>)
PROTOCOL("of two releases of one hold exactly one is reported", released_twice<pinref::bias64, pinref::hold::reference>,
         released_twice<pinref::bias64, pinref::hold::pin>, released_twice<pinref::split32, pinref::hold::pin>)

}  // namespace
