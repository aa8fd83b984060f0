// A pinned page and a policy, where the pin goes as soon as the page lock does.

#include <doctest/doctest.h>

#include "pinref/decide/writeback.hpp"
#include "storage_host.hpp"

using pinref::deadline;
using pinref::if_pinned;
using pinref::take_result;
using pinref::writeback_result;

TEST_CASE_TEMPLATE("to skip a pinned page is not to wait for it; to wait is", Host, FOREIGN_HOSTS) {
  for (const if_pinned policy : {if_pinned::skip, if_pinned::wait}) {
    Host host;
    support::mapped_object<typename Host::page> object;
    auto& page = object.put_in(0, host.small());
    page.dirty = true;
    REQUIRE(pinref::try_pin_page(page) == take_result::taken);
    page.unlocked = [&page] {
      if (pinref::page_dma_pinned(page)) (void)pinref::unpin_user_page(page);
    };
    int writes = 0;
    const auto write = [&](auto&, bool) {
      ++writes;
      return true;
    };
    const bool waits = policy == if_pinned::wait;
    CHECK(pinref::writeback_page(page, object, policy, write, deadline::never()) ==
          (waits ? writeback_result::written : writeback_result::skipped));
    CHECK(writes == (waits ? 1 : 0));
    CHECK(page.dirty == !waits);
  }
}
