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
  ref.reset(2);
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

PROTOCOL("the books of a page that is frozen beside holders agree with its word", frozen_beside_holders<pinref::bias64>,
         frozen_beside_holders<tiny>, frozen_beside_holders<pinref::split>)

}  // namespace
