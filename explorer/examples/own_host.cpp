// SPDX-License-Identifier: MIT

// The host of own_host.hpp, model-checked: a device writes to the block while its buffer is given to another. As it
// should be, and with each of the mistakes. Succeeds if exactly the mistakes are found.

#include "own_host.hpp"

#include <cstdio>
#include <pinref/explorer/explored_sync.hpp>

namespace {

using contents = explorer::plain<int>;
using own_host::mistake;

template <mistake Made>
using cache = own_host::cache<explorer::explored_sync, contents, Made>;

template <mistake Made>
void device_against_eviction(explorer::execution& x) {
  auto& blocks = x.make<cache<Made>>();
  x.name(blocks.frame().ref, "word");
  x.name(blocks.frame().contents, "contents");
  x.name(blocks.entry(), "entry");
  x.thread([&blocks] {
    typename cache<Made>::page* held = nullptr;
    if (pinref::pin_user_pages_fast(blocks, 0, 1, pinref::foll::write, &held).count == 0) return;
    held->contents.write(1);
    pinref::unpin_user_page(*held);
  });
  x.thread([&blocks] { blocks.evict([](contents& of_another_block) { of_another_block.write(2); }); });
}

template <mistake Made>
bool found(const char* name) {
  const explorer::result r = explorer::explore({}, device_against_eviction<Made>);
  std::printf("%s: %s", name, r.text().c_str());
  return r.failed;
}

}  // namespace

// The same host runs with std::atomic underneath.
template class own_host::cache<pinref::std_sync, int>;

int main() {
  const bool right = found<mistake::none>("as it should be");
  const bool no_second_look = found<mistake::no_second_look>("\nno second look");
  const bool asked_too_early = found<mistake::asked_too_early>("\nasked before the entry was cleared");
  return !right && no_second_look && asked_too_early ? 0 : 1;
}
