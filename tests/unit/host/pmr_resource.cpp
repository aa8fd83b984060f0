// SPDX-License-Identifier: MIT

// The resource that keeps what was deallocated until its last holder lets go.

#include "pinref/host/pmr_resource.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory_resource>
#include <new>
#include <optional>
#include <set>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "pinref/handles/page_handle.hpp"
#include "pinref/observe/checked_ref.hpp"
#include "pinref/page/page.hpp"
#include "remember_misuse.hpp"
#include "second_thread.hpp"

using pinref::deferring_resource;
using pinref::release_result;
using pinref::take_result;

namespace {

using allocation = deferring_resource::allocation;
using pin = pinref::page_pin<allocation>;
using reference = pinref::page_ptr<allocation>;

// Hands memory on, and notes what it was asked for, by whom.
class upstream final : public std::pmr::memory_resource {
 public:
  std::set<void*> out;
  std::thread::id last_caller;
  std::size_t last_size = 0;
  std::size_t last_alignment = 0;
  int allocated = 0;
  bool refuses = false;
  bool mismatched = false;  // something came back otherwise than it went out

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    last_caller = std::this_thread::get_id();
    if (refuses) throw std::bad_alloc{};
    void* const memory = std::pmr::new_delete_resource()->allocate(bytes, alignment);
    out.insert(memory);
    sizes_.insert({memory, bytes, alignment});
    ++allocated;
    last_size = bytes;
    last_alignment = alignment;
    return memory;
  }
  void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override {
    last_caller = std::this_thread::get_id();
    mismatched = mismatched || sizes_.erase({memory, bytes, alignment}) == 0;
    out.erase(memory);
    std::pmr::new_delete_resource()->deallocate(memory, bytes, alignment);
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  struct request {
    void* memory;
    std::size_t bytes, alignment;
    auto operator<=>(const request&) const = default;
  };
  std::set<request> sizes_;
};

// Does something else before it hands memory on.
struct slow final : std::pmr::memory_resource {
  std::function<void()> meanwhile;

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    if (const auto first = meanwhile) first();
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override {
    std::pmr::new_delete_resource()->deallocate(memory, bytes, alignment);
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
};

// One allocation of a resource of its own.
struct one_buffer {
  explicit one_buffer(std::size_t bytes = 8192, std::size_t alignment = 4096)
      : size(bytes), align(alignment), data(static_cast<std::byte*>(memory.allocate(bytes, alignment))) {}

  void deallocate() { memory.deallocate(data, size, align); }
  [[nodiscard]] bool is_out() const { return below.out.count(data) != 0; }

  upstream below;
  deferring_resource memory{&below};
  std::size_t size, align;
  std::byte* data;
};

}  // namespace

static_assert(std::derived_from<deferring_resource, std::pmr::memory_resource>);
static_assert(!std::copy_constructible<deferring_resource> && !std::is_copy_assignable_v<deferring_resource>);
static_assert(pinref::host_page<allocation> && pinref::freeable_page<allocation>);

TEST_CASE("memory that nobody holds goes upstream when it is deallocated, as it was asked for") {
  one_buffer one{8192, 4096};
  CHECK(one.below.last_size == 8192);
  CHECK(one.below.last_alignment == 4096);
  CHECK(reinterpret_cast<std::uintptr_t>(one.data) % 4096 == 0);
  CHECK(one.memory.nr_allocations() == 1);
  one.deallocate();
  CHECK_FALSE(one.is_out());
  CHECK_FALSE(one.below.mismatched);
  CHECK(one.memory.nr_allocations() == 0);
}

TEST_CASE("memory that is pinned stays until the last pin has gone") {
  one_buffer one;
  auto first = pin::try_pin(*one.memory.find(one.data));
  auto second = first.share();
  one.deallocate();
  CHECK(one.is_out());
  CHECK(pinref::page_dma_pinned(*first));
  CHECK(first->data() == one.data);
  CHECK(first->size() == 8192);
  first.reset();
  one.memory.drain();
  CHECK(one.is_out());
  second.reset();
  one.memory.drain();
  CHECK_FALSE(one.is_out());
  CHECK_FALSE(one.below.mismatched);
}

TEST_CASE("a reference, as of a registration, keeps memory as well") {
  one_buffer one;
  auto registration = reference::get_page(*one.memory.find(one.data));
  one.deallocate();
  CHECK(one.is_out());
  CHECK_FALSE(pinref::page_dma_pinned(*registration));
  registration.reset();
  one.memory.drain();
  CHECK_FALSE(one.is_out());
}

TEST_CASE("a release never calls upstream: the next who allocates, deallocates or drains does") {
  one_buffer one;
  const auto held = [&one] {
    auto taken = pin::try_pin(*one.memory.find(one.data));
    one.deallocate();
    return taken;
  };
  const auto release_elsewhere = [&one](pin taken) {
    one.below.last_caller = {};
    std::thread{[&taken] { taken.reset(); }}.join();
    CHECK(one.is_out());
    CHECK(one.below.last_caller == std::thread::id{});
  };

  void* other = nullptr;
  SUBCASE("allocates") {
    release_elsewhere(held());
    other = one.memory.allocate(64);
    CHECK_FALSE(one.is_out());
    one.memory.deallocate(other, 64);
  }
  SUBCASE("deallocates") {
    other = one.memory.allocate(64);
    release_elsewhere(held());
    one.memory.deallocate(other, 64);
    CHECK_FALSE(one.is_out());
  }
  SUBCASE("drains") {
    release_elsewhere(held());
    one.memory.drain();
    CHECK_FALSE(one.is_out());
  }
  CHECK(one.below.last_caller == std::this_thread::get_id());
  CHECK_FALSE(one.below.mismatched);
}

TEST_CASE("a release may happen while another thread is inside upstream") {
  // As a completion handler does that interrupts an allocation: a lock would never be given.
  slow below;
  deferring_resource memory{&below};
  void* const data = memory.allocate(64);
  auto taken = pin::try_pin(*memory.find(data));
  memory.deallocate(data, 64);
  below.meanwhile = [&taken] { taken.reset(); };
  void* const other = memory.allocate(64);
  CHECK_FALSE(taken);
  memory.deallocate(other, 64);
  CHECK(memory.nr_allocations() == 0);
}

TEST_CASE("while a thread is inside upstream nobody else uses the resource, but to release") {
  using resource = pinref::basic_deferring_resource<pinref::page_ref<pinref::bias64, support::counting_sleeps>>;
  // Each says whether `data` is there afterwards.
  const std::function<void*(resource&, void*)> calls[] = {
      [](resource& memory, void* data) {
        CHECK(memory.find(data) != nullptr);
        return data;
      },
      [](resource& memory, void* data) {
        memory.drain();
        return data;
      },
      [](resource& memory, void* data) {
        CHECK(memory.nr_allocations() == 2);
        return data;
      },
      [](resource& memory, void* data) {
        memory.deallocate(memory.allocate(64), 64);
        return data;
      },
      [](resource& memory, void* data) -> void* {
        memory.deallocate(data, 64);
        return nullptr;
      },
  };
  for (const auto& call : calls) {
    slow below;
    resource memory{&below};
    void* data = memory.allocate(64);
    std::optional<support::second_thread> other;
    below.meanwhile = [&] {
      below.meanwhile = nullptr;
      CHECK(other.emplace([&] { data = call(memory, data); }).sleeps());
    };
    void* const inside = memory.allocate(64);
    other.reset();
    memory.deallocate(inside, 64);
    CHECK(memory.nr_allocations() == (data != nullptr ? 1 : 0));
    if (data != nullptr) memory.deallocate(data, 64);
  }
}

TEST_CASE("an allocation is found by every address in it, until upstream has it back, and by no other") {
  one_buffer one;
  allocation* const found = one.memory.find(one.data);
  REQUIRE(found != nullptr);
  CHECK(one.memory.find(one.data + 1) == found);
  CHECK(one.memory.find(one.data + 8191) == found);
  CHECK(one.memory.find(one.data + 8192) == nullptr);
  CHECK(one.memory.find(one.data - 1) == nullptr);
  CHECK(one.memory.find(nullptr) == nullptr);

  std::set<allocation*> all{found};
  std::vector<void*> others;
  for (int i = 0; i != 20; ++i) {
    others.push_back(one.memory.allocate(4096, 4096));
    all.insert(one.memory.find(static_cast<std::byte*>(others.back()) + 100));
  }
  CHECK(all.size() == 21);
  CHECK(all.count(nullptr) == 0);
  CHECK(one.memory.find(one.data + 4096) == found);
  for (void* each : others) one.memory.deallocate(each, 4096, 4096);

  auto held = pin::try_pin(*found);
  one.deallocate();
  CHECK(one.memory.find(one.data) == found);
  held.reset();
  one.memory.drain();
  CHECK(one.memory.find(one.data) == nullptr);
}

TEST_CASE("an allocation of nothing has an address of its own, and goes like any other") {
  upstream below;
  deferring_resource memory{&below};
  void* const a = memory.allocate(0);
  void* const b = memory.allocate(0);
  CHECK(a != b);
  CHECK(memory.find(a) != memory.find(b));
  memory.deallocate(a, 0);
  memory.deallocate(b, 0);
  CHECK(below.out.empty());
  CHECK_FALSE(below.mismatched);
}

TEST_CASE("descriptors are used again and never given back, so a stranger may try to take a dead one") {
  upstream books;
  upstream below;
  deferring_resource memory{&below, &books};
  std::vector<void*> out;
  for (int i = 0; i != 10; ++i) out.push_back(memory.allocate(64));
  std::set<allocation*> descriptors;
  for (void* each : out) descriptors.insert(memory.find(each));
  for (void* each : out) memory.deallocate(each, 64);
  CHECK(below.out.empty());
  CHECK(books.out.size() == 10);
  for (allocation* each : descriptors) CHECK(pinref::try_pin_page(*each) == take_result::dead);

  const int before = books.allocated;
  for (int round = 0; round != 100; ++round) {
    for (void*& each : out) each = memory.allocate(64);
    for (void* each : out) CHECK(descriptors.count(memory.find(each)) == 1);
    for (void* each : out) memory.deallocate(each, 64);
  }
  CHECK(books.allocated == before);
  CHECK(below.out.empty());
}

TEST_CASE("two descriptors that have described the same address are spare side by side") {
  // Gives out the address that the test says.
  struct chooser final : std::pmr::memory_resource {
    alignas(64) std::byte places[2][64];
    int next = 0;
    void* do_allocate(std::size_t, std::size_t) override { return places[next]; }
    void do_deallocate(void*, std::size_t, std::size_t) override {}
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
  } below;
  for (const int again : {0, 1}) {
    upstream books;
    deferring_resource memory{&below, &books};
    below.next = 0;
    void* const a = memory.allocate(64);
    below.next = 1;
    void* const b = memory.allocate(64);
    memory.deallocate(a, 64);
    memory.deallocate(b, 64);
    below.next = again;
    void* const c = memory.allocate(64);
    memory.deallocate(c, 64);
    CHECK(books.out.size() == 2);
  }
}

TEST_CASE("descriptors do not stand in the memory that devices write to") {
  std::byte region[4096];
  std::pmr::monotonic_buffer_resource below{region, sizeof region, std::pmr::null_memory_resource()};
  deferring_resource memory{&below};
  void* const all = memory.allocate(sizeof region, 1);  // it would not fit
  auto* const found = reinterpret_cast<std::byte*>(memory.find(all));
  CHECK((std::less<>{}(found, region) || !std::less<>{}(found, region + sizeof region)));
  memory.deallocate(all, sizeof region, 1);
}

TEST_CASE("an allocation that fails, for lack of memory or of a descriptor, changes nothing") {
  upstream books;
  upstream below;
  deferring_resource memory{&below, &books};
  void* const before = memory.allocate(64);
  SUBCASE("memory") {
    below.refuses = true;
    CHECK_THROWS_AS((void)memory.allocate(64), std::bad_alloc);
    CHECK_THROWS_AS((void)memory.allocate(64), std::bad_alloc);
    // The descriptor that was made for it is used for the next.
    CHECK(books.allocated == 2);
  }
  SUBCASE("a descriptor") {
    books.refuses = true;
    CHECK_THROWS_AS((void)memory.allocate(64), std::bad_alloc);
    CHECK(below.allocated == 1);
  }
  CHECK(memory.nr_allocations() == 1);
  below.refuses = books.refuses = false;
  void* const after = memory.allocate(64);
  CHECK(books.allocated == 2);
  CHECK(memory.find(before) != memory.find(after));
  memory.deallocate(after, 64);
  memory.deallocate(before, 64);
  CHECK(below.out.empty());
}

TEST_CASE("what is deallocated twice goes upstream once, and not at all if the second takes from a pin") {
  one_buffer one;
  SUBCASE("while it is held") {
    auto held = pin::try_pin(*one.memory.find(one.data));
    one.deallocate();
    one.deallocate();
    CHECK(one.is_out());
    CHECK(pinref::page_dma_pinned(*held));
    held.reset();
    one.memory.drain();
    CHECK(one.is_out());
    one.below.deallocate(one.data, one.size, one.align);
  }
  SUBCASE("when it has gone") {
    one.deallocate();
    one.deallocate();
  }
  CHECK_FALSE(one.below.mismatched);
}

TEST_CASE("containers use it, and their memory outlives them under a transfer") {
  upstream below;
  deferring_resource memory{&below};
  pin transfer;
  std::byte* data = nullptr;
  {
    std::pmr::vector<std::byte> buffer(5000, std::byte{7}, &memory);
    data = buffer.data();
    transfer = pin::try_pin(*memory.find(data + 4999));
    std::pmr::vector<std::byte> moved = std::move(buffer);
    moved.reserve(10'000);  // its elements go elsewhere
    CHECK(moved.data() != data);
  }
  REQUIRE(below.out.count(data) == 1);
  CHECK(below.out.size() == 1);
  CHECK(data[4999] == std::byte{7});
  transfer.reset();
  memory.drain();
  CHECK(below.out.empty());
}

TEST_CASE("whatever has been released by then goes upstream with the resource") {
  upstream below;
  {
    deferring_resource memory{&below};
    void* const data = memory.allocate(64);
    auto held = pin::try_pin(*memory.find(data));
    memory.deallocate(data, 64);
    held.reset();
    CHECK(below.out.size() == 1);
  }
  CHECK(below.out.empty());
}

TEST_CASE("a resource equals itself alone, and is not mistaken for its upstream") {
  upstream below;
  deferring_resource a{&below}, b{&below};
  CHECK(a == a);
  CHECK(a != b);
  CHECK(a != below);
}

TEST_CASE_TEMPLATE("every reference word will do", Ref, pinref::page_ref<pinref::bias32>,
                   pinref::page_ref<pinref::split32>, pinref::checked_ref<pinref::page_ref<>, support::remember>) {
  using resource = pinref::basic_deferring_resource<Ref>;
  upstream below;
  resource memory{&below};
  void* const data = memory.allocate(64);
  auto held = pinref::page_pin<typename resource::allocation>::try_pin(*memory.find(data));
  memory.deallocate(data, 64);
  CHECK(below.out.size() == 1);
  held.reset();
  memory.drain();
  CHECK(below.out.empty());
}

TEST_CASE("threads allocate, deallocate and release at once, and all comes back") {
  upstream below;
  {
    deferring_resource memory{&below};
    // What one thread pins, the other releases.
    std::vector<std::atomic<allocation*>> handed(8);
    const auto work = [&](std::size_t seed) {
      for (std::size_t i = 0; i != 2000; ++i) {
        const std::size_t size = 16 + (i * 37 + seed) % 200;
        void* const data = memory.allocate(size);
        allocation* taken = pin::try_pin(*memory.find(data)).detach();
        *static_cast<std::size_t*>(data) = i;
        memory.deallocate(data, size);
        taken = handed[(i + seed) % handed.size()].exchange(taken);
        if (taken != nullptr) pinref::unpin_user_page(*taken);
      }
    };
    {
      std::thread one{work, 0}, two{work, 3};
      one.join();
      two.join();
    }
    for (auto& each : handed)
      if (allocation* const left = each.exchange(nullptr)) pinref::unpin_user_page(*left);
  }
  CHECK(below.allocated == 4000);
  CHECK(below.out.empty());
  CHECK_FALSE(below.mismatched);
}
