// SPDX-License-Identifier: MIT

#include <doctest/doctest.h>

#include <thread>
#include <vector>

#include "entry_points.hpp"
#include "layouts.hpp"
#include "worlds.hpp"

// The acceptance scenarios of the pin calls: every layout, both hosts, small pages, compound pages and a mixed range.

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using pinref::release_result;
using pinref::take_result;

namespace {

template <class World>
using pages_of = std::vector<typename World::page*>;

template <class World>
typename World::layout held(std::size_t references, std::size_t pins) {
  using word = typename World::layout::word_type;
  return World::layout::live(static_cast<word>(references), static_cast<word>(pins));
}

template <class Page>
auto& word_of(Page& page) {
  return pinref::page_traits<Page>::ref(pinref::compound_head(page));
}

template <class Page>
auto state_of(Page& page) {
  return word_of(page).snapshot();
}

}  // namespace

TEST_CASE_TEMPLATE(
    "A1.2: pages got by one thread and pinned by another are held by both, and dma_pinned follows the pin", World,
    ALL_WORLDS) {
  for (support::shape shape : support::all_shapes)
    for (bool pin_goes_first : {true, false}) {
      World world(shape);
      pages_of<World> got(world.n), pinned(world.n);
      std::thread([&] {
        CHECK(pinref::get_user_pages_fast(world.space(), world.start(), world.n, foll::none, got.data()).ok());
      }).join();
      for (auto* page : got) CHECK_FALSE(pinref::page_dma_pinned(*page));
      std::thread([&] {
        CHECK(pinref::pin_user_pages_fast(world.space(), world.start(), world.n, foll::write, pinned.data()).ok());
      }).join();
      CHECK(got == pinned);
      for (const auto& run : world.runs) {
        auto& head = *got[run.first];
        CHECK(state_of(head) == held<World>(1 + run.pages, run.pages));
        world.unmap(run.first);
        CHECK(state_of(head) == held<World>(run.pages, run.pages));
        CHECK(pinref::page_dma_pinned(head));
      }
      if (pin_goes_first) {
        CHECK(pinref::unpin_user_pages(pinned.data(), world.n).count == world.n);
        for (auto* page : got) CHECK_FALSE(pinref::page_dma_pinned(*page));
        CHECK(pinref::release_pages(got.data(), world.n).count == world.n);
      } else {
        CHECK(pinref::release_pages(got.data(), world.n).count == world.n);
        for (auto* page : pinned) CHECK(pinref::page_dma_pinned(*page));
        CHECK(pinref::unpin_user_pages(pinned.data(), world.n).count == world.n);
      }
      for (auto* page : got) CHECK(pinref::get_page_unless_zero(*page) == take_result::dead);
    }
}

TEST_CASE_TEMPLATE(
    "A1.3: a brief remote pin, a write to the data and a dirty unpin: an observer sees pinned, then dirty", World,
    ALL_WORLDS) {
  for (support::shape shape : support::all_shapes) {
    // Another party's space: the caller only names it.
    World remote(shape);
    pages_of<World> pages(remote.n);
    REQUIRE(pinref::pin_user_pages_fast(remote.space(), remote.start(), remote.n, foll::write, pages.data()).ok());
    for (auto* page : pages) CHECK(pinref::page_dma_pinned(*page));
    CHECK(World::unpin_after_write(pages.data(), remote.n) == gup_result{remote.n, gup_error::none});
    for (const auto& run : remote.runs) {
      auto& head = remote.at(run.first);
      CHECK_FALSE(pinref::page_dma_pinned(head));
      CHECK(state_of(head) == held<World>(1, 0));
      if constexpr (World::can_mark_dirty) CHECK(pinref::compound_head(head).clear_dirty());
    }
  }
}

TEST_CASE_TEMPLATE("A1.4: a metadata-only get is never pinned, below one bias of references", World, ALL_WORLDS) {
  for (support::shape shape : support::all_shapes) {
    World world(shape);
    pages_of<World> pages(1);
    // A page of the last run, on whichever head.
    const auto& run = world.runs.back();
    auto& page = world.at(run.first + run.pages - 1);
    const std::uintptr_t address = world.start() + (run.first + run.pages - 1) * World::page_size;
    for (std::size_t references = 2; references != 1024; ++references) {
      REQUIRE(pinref::get_user_pages_fast(world.space(), address, 1, foll::none, pages.data()).ok());
      REQUIRE_FALSE(pinref::page_dma_pinned(page));
      REQUIRE(state_of(page) == held<World>(references, 0));
    }
    REQUIRE(pinref::get_page(page) == take_result::taken);
    CHECK(pinref::page_dma_pinned(page) == !World::layout::exact_pins);
    CHECK(pinref::put_page(page, 1023) == release_result::released);
  }
}

TEST_CASE_TEMPLATE("A1.6: a notifier-style get: invalidation drops it in the callback, and nothing stale is reached",
                   World, ALL_WORLDS) {
  for (support::shape shape : support::all_shapes) {
    World world(shape);
    pages_of<World> mirror(world.n);
    REQUIRE(pinref::get_user_pages_fast(world.space(), world.start(), world.n, foll::none, mirror.data()).ok());
    for (const auto& run : world.runs) {
      auto& head = *mirror[run.first];
      CHECK_FALSE(pinref::page_dma_pinned(head));
      // The owner tells, the mirror lets go, and only then is the mapping taken away.
      CHECK(pinref::release_pages(&mirror[run.first], run.pages).count == run.pages);
      world.unmap(run.first);
      CHECK(pinref::get_page_unless_zero(head) == take_result::dead);
    }
    CHECK(pinref::get_user_pages_fast(world.space(), world.start(), 1, foll::none, mirror.data()).reason ==
          gup_error::not_mapped);
  }
}

TEST_CASE_TEMPLATE(
    "A2.1: a failure at the k-th page, for every k, leaves exactly what the result says, in its own mode", World,
    ALL_WORLDS) {
  using space_type = std::remove_reference_t<decltype(std::declval<World&>().space())>;
  for (support::shape shape : support::all_shapes)
    for (const auto& entry : support::entry_points<space_type>())
      for (bool all : {false, true})
        for (bool full_word : {false, true}) {
          std::vector<std::size_t> ks;
          for (const auto& run : World(shape).runs) ks.push_back(run.first);
          for (std::size_t failing = 0; failing != ks.size(); ++failing) {
            CAPTURE(entry.name);
            CAPTURE(failing);
            World world(shape);
            // An earlier call holds everything, in both modes.
            pages_of<World> got(world.n), pinned(world.n), pages(world.n);
            REQUIRE(pinref::get_user_pages_fast(world.space(), world.start(), world.n, foll::none, got.data()).ok());
            REQUIRE(pinref::pin_user_pages_fast(world.space(), world.start(), world.n, foll::none, pinned.data()).ok());
            auto& victim = pinref::compound_head(world.at(ks[failing]));
            if (full_word)
              support::set_state(word_of(victim), support::full<typename World::layout>());
            else
              world.unmap(ks[failing]);
            const auto victims = word_of(victim).snapshot();

            const gup_result done =
                entry.call(world.space(), world.start(), world.n, all ? foll::all : foll::none, pages.data());
            CHECK(done == gup_result{all ? 0 : ks[failing], full_word ? gup_error::overflow : gup_error::not_mapped});
            CHECK(word_of(victim).snapshot() == victims);
            for (const auto& run : world.runs) {
              if (run.first == ks[failing]) continue;
              const std::size_t mine = run.first < done.count ? run.pages : 0;
              CHECK(state_of(*got[run.first]) ==
                    held<World>(1 + run.pages + (entry.pins ? 0 : mine), run.pages + (entry.pins ? mine : 0)));
            }
            support::release(pages.data(), done.count, entry.pins);
            if (full_word)
              support::set_state(word_of(victim),
                                 held<World>(1 + world.runs[failing].pages, world.runs[failing].pages));
            support::release(got.data(), world.n, false);
            support::release(pinned.data(), world.n, true);
          }
        }
}

TEST_CASE_TEMPLATE("A2.2: where a take cannot fail but does, every kind of page gives the same error", World,
                   ALL_WORLDS) {
  using space_type = std::remove_reference_t<decltype(std::declval<World&>().space())>;
  for (support::shape shape : support::all_shapes)
    for (const auto& entry : support::entry_points<space_type>()) {
      World world(shape);
      auto& victim = pinref::compound_head(world.at(0));
      // A page that is mapped and dead: its host has lost count.
      word_of(victim).bury();
      pages_of<World> pages(world.n);
      CHECK(entry.call(world.space(), world.start(), world.n, foll::none, pages.data()) ==
            gup_result{0, gup_error::broken_mapping});
      CHECK(word_of(victim).snapshot() == typename World::layout{});
      word_of(victim).init();
    }
}

TEST_CASE_TEMPLATE("A2.6: a step over a compound page that does not fit is not held in part", World, ALL_WORLDS) {
  using space_type = std::remove_reference_t<decltype(std::declval<World&>().space())>;
  using word = typename World::layout::word_type;
  for (support::shape shape : {support::shape::compound, support::shape::mixed})
    for (const auto& entry : support::entry_points<space_type>()) {
      World world(shape);
      std::size_t before_it = 0;
      while (world.runs[before_it].pages == 1) ++before_it;
      auto& head = pinref::compound_head(world.at(world.runs[before_it].first));
      // Room for one holder of the kind, not for all pages.
      const auto room = static_cast<word>(entry.pins ? support::pin_weight<typename World::layout>() : 1);
      support::set_state(word_of(head),
                         World::layout::live(static_cast<word>(World::layout::zones::max_holders - room)));
      const auto before = word_of(head).snapshot();
      pages_of<World> pages(world.n);
      CHECK(entry.call(world.space(), world.start(), world.n, foll::none, pages.data()) ==
            gup_result{before_it, gup_error::overflow});
      CHECK(word_of(head).snapshot() == before);
      support::release(pages.data(), before_it, entry.pins);
      support::set_state(word_of(head), held<World>(1, 0));
      CHECK(entry.call(world.space(), world.start(), world.n, foll::none, pages.data()).ok());
      support::release(pages.data(), world.n, entry.pins);
    }
}
