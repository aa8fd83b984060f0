// SPDX-License-Identifier: MIT
// The registration cache on libfabric: one-sided writes between two endpoints, while the memory they write to is taken
// away, unmapped and mapped again. Both sides are pinned for a transfer.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "covered.hpp"
#include "examples/support/fabric.hpp"
#include "pinref/host/registration_cache.hpp"
#include "pinref/page/page.hpp"

using namespace std::chrono_literals;
using pinref::deadline;
using pinref::gup_error;

namespace {

namespace fabric = examples::fabric;

constexpr std::size_t block_bytes = 64 << 10, nr_blocks = 8;
constexpr unsigned local = FI_WRITE, remote = FI_REMOTE_WRITE;
constexpr const char* run_control = "PINREF_FABRIC_CONTROL";  // a provider
constexpr const char* asking = "PINREF_FABRIC_ASKING";

using cache_type = pinref::registration_cache<fabric::domain, 64>;

// Memory that is ours to unmap.
struct memory {
  std::byte* const at = static_cast<std::byte*>(map(nullptr, nr_blocks* block_bytes));

  static void* map(void* where, std::size_t bytes) {
    void* const got = ::mmap(where, bytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | (where != nullptr ? MAP_FIXED : 0), -1, 0);
    if (got == MAP_FAILED) throw std::runtime_error("mmap");
    return got;
  }
  ~memory() { ::munmap(at, nr_blocks * block_bytes); }
  [[nodiscard]] std::byte* block(std::size_t i) const { return at + i * block_bytes; }
  [[nodiscard]] std::uintptr_t address(std::size_t i) const { return reinterpret_cast<std::uintptr_t>(block(i)); }
};

struct side {
  explicit side(const std::string& provider) : nic(provider), ep(nic) {}

  fabric::domain nic;
  fabric::endpoint ep;
  memory pages;
  cache_type cache{nic};
};

struct world {
  explicit world(const std::string& provider) : here(provider), there(provider), to(here.ep.insert(there.ep.name())) {
    (void)there.ep.insert(here.ep.name());
  }

  // One write of a part of a block, filled with one number; 0, the error of the fabric, or 1 if the wrong data arrived.
  long transfer(std::size_t block, unsigned number) {
    const std::size_t length = 4096 + number % 7 * 8192, skip = number % 5 * 100;
    const auto source = here.cache.pin(here.pages.address(block), length, local);
    const auto target = there.cache.pin(there.pages.address(block) + skip, length, remote);
    long result = 0;
    if (source.region != nullptr && target.region != nullptr) {
      std::memset(here.pages.block(block), static_cast<int>(number), length);
      const std::uint64_t at = there.nic.by_address() ? there.pages.address(block) + skip
                                                      : there.pages.address(block) + skip - target.region->first();
      result = here.ep.write(here.pages.block(block), length, source.region->handle().desc, to, at,
                             target.region->handle().key, there.ep);
      if (result == 0 && std::memcmp(here.pages.block(block), there.pages.block(block) + skip, length) != 0) result = 1;
      ++transfers;
    }
    if (source.region != nullptr) (void)pinref::unpin_user_page(*source.region);
    if (target.region != nullptr) (void)pinref::unpin_user_page(*target.region);
    return result;
  }

  // Takes a block away, and gives its addresses to somebody else.
  bool replace(std::size_t block, const deadline& until, bool ask) {
    const std::uintptr_t at = there.pages.address(block);
    if (ask && there.cache.close(at, block_bytes, until) != gup_error::none) return false;
    if (!ask) there.cache.tell(at, block_bytes);
    ::munmap(there.pages.block(block), block_bytes);
    std::this_thread::sleep_for(50us);
    memory::map(there.pages.block(block), block_bytes);
    if (ask) (void)there.cache.open(at, block_bytes);
    ++replaced;
    return true;
  }

  side here, there;
  fi_addr_t to;
  std::atomic<std::size_t> transfers{0}, replaced{0};
};

// Transfers beside somebody who replaces the memory. How many went wrong.
std::size_t run(world& w, std::chrono::milliseconds time, const std::function<deadline()>& until, bool ask) {
  std::atomic<bool> stop{false};
  std::thread evictor{[&] {
    for (unsigned i = 1; !stop.load(std::memory_order_relaxed); i = i * 1664525 + 1013904223) {
      (void)w.replace((i >> 16) % nr_blocks, until(), ask);
      std::this_thread::sleep_for(100us);
    }
  }};
  std::size_t wrong = 0;
  const auto end = std::chrono::steady_clock::now() + time;
  for (unsigned i = 1; std::chrono::steady_clock::now() < end; i = i * 22695477 + 1)
    if (w.transfer((i >> 16) % nr_blocks, i >> 8) != 0) ++wrong;
  stop = true;
  evictor.join();
  return wrong;
}

// The test again in a process of its own, where it may crash. Did anything go wrong there?
bool goes_wrong(const std::string& provider, bool ask) {
  ::setenv(run_control, provider.c_str(), 1);
  if (ask) ::setenv(asking, "1", 1);
  // A provider that is not used would write a file about the crash.
  for (const char* each : {"IPATH_NO_BACKTRACE", "HFI_NO_BACKTRACE"}) ::setenv(each, "1", 1);
  char self[4096] = {};
  if (::readlink("/proc/self/exe", self, sizeof self - 1) <= 0) throw std::runtime_error("readlink");
  char filter[] = "--test-case=control";
  char* arguments[] = {self, filter, nullptr};
  // It says how it crashed, which is no news.
  ::posix_spawn_file_actions_t quiet;
  ::posix_spawn_file_actions_init(&quiet);
  for (const int each : {1, 2}) ::posix_spawn_file_actions_addopen(&quiet, each, "/dev/null", O_WRONLY, 0);
  ::pid_t child = 0;
  const int code = ::posix_spawn(&child, self, &quiet, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&quiet);
  ::unsetenv(run_control);
  ::unsetenv(asking);
  if (code != 0) throw std::runtime_error("posix_spawn");
  int status = 0;
  if (::waitpid(child, &status, 0) != child) throw std::runtime_error("waitpid");
  // What a crashed shm leaves behind.
  for (const char* each : {":0:0", ":0:1", ":1:0", ":1:1"})
    (void)::shm_unlink(("/" + std::to_string(child) + each).c_str());
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

template <class Test>
void on_each_provider(Test test) {
  // Loopback alone.
  ::setenv("FI_TCP_IFACE", "lo", 0);
  ::setenv("FI_PROVIDER", "shm,tcp,ofi_rxm", 0);
  for (const std::string provider : {"shm", "tcp;ofi_rxm"}) {
    std::optional<world> w;
    try {
      w.emplace(provider);
    } catch (const fabric::error& no) {
      std::printf("skipped: libfabric %s: %s\n", provider.c_str(), no.what());
      continue;
    }
    CAPTURE(provider);
    test(*w, provider);
    const std::uintptr_t at = w->there.pages.address(0);
    CHECK(w->there.cache.close(at, nr_blocks * block_bytes) == gup_error::none);
    CHECK(w->there.nic.registered == 0);
    support::cover("writes over " + provider, w->transfers.load());
    support::cover("blocks replaced under " + provider, w->replaced.load());
  }
}

}  // namespace

TEST_CASE("a block is registered once, whatever is written to it") {
  on_each_provider([](world& w, const std::string&) {
    for (unsigned i = 0; i != 100; ++i) REQUIRE(w.transfer(i % nr_blocks, i) == 0);
    CHECK(w.there.cache.counts().registered < 100);
    const auto before = w.there.cache.counts().registered;
    for (unsigned i = 0; i != 100; ++i) REQUIRE(w.transfer(i % nr_blocks, i) == 0);
    CHECK(w.there.cache.counts().registered == before);
  });
}

TEST_CASE("memory is replaced when no transfer is in it, refused or waited for") {
  on_each_provider([](world& w, const std::string&) {
    const std::size_t refused = run(w, 700ms, deadline::passed, true);
    CHECK(refused == 0);
    const std::size_t waited_for = run(
        w, 700ms, [] { return deadline::in(100ms); }, true);
    CHECK(waited_for == 0);
    CHECK(w.replaced > 0);
  });
}

TEST_CASE("memory that is replaced under its transfers is caught") {
  on_each_provider([](world&, const std::string& provider) {
    CHECK(goes_wrong(provider, false));
    CHECK_FALSE(goes_wrong(provider, true));
  });
}

// In a process of its own.
TEST_CASE("control" * doctest::skip(std::getenv(run_control) == nullptr)) {
  world w{std::getenv(run_control)};
  const bool ask = std::getenv(asking) != nullptr;
  const std::size_t wrong = run(w, ask ? 500ms : 15s, deadline::passed, ask);
  CHECK(wrong == 0);
}
