// SPDX-License-Identifier: MIT
// In a guest with a kernel of its own: the registration cache on soft-RoCE, with the kernel's count of pins beside
// pinref's; and files whose pages are their storage. run.py makes the guest and runs this in it.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "pinref/host/registration_cache.hpp"
#include "pinref/page/page.hpp"
#include "pinref/pinref.hpp"
#include "real_waits.hpp"
#include "verbs.hpp"

using pinref::deadline;
using pinref::foll;
using pinref::gup_error;

namespace {

constexpr std::size_t page_bytes = 4096;
constexpr unsigned local = IBV_ACCESS_LOCAL_WRITE, remote = local | IBV_ACCESS_REMOTE_WRITE;

using cache_type = pinref::registration_cache<guest::card, 64>;
using region = cache_type::region;

std::byte* map(std::size_t pages, void* where = nullptr, int protection = PROT_READ | PROT_WRITE) {
  void* const got = ::mmap(where, pages * page_bytes, protection,
                           MAP_PRIVATE | MAP_ANONYMOUS | (where != nullptr ? MAP_FIXED : 0), -1, 0);
  if (got == MAP_FAILED) throw std::runtime_error("mmap");
  return static_cast<std::byte*>(got);
}
std::uintptr_t number(const void* at) {
  return reinterpret_cast<std::uintptr_t>(at);
}

// What the kernel counts, in pages.
struct kernel_pins {
  long acquired = 0, released = 0;

  static kernel_pins now() {
    std::ofstream("/proc/sys/vm/stat_refresh") << "1\n";
    std::ifstream stat("/proc/vmstat");
    kernel_pins all;
    std::string name;
    for (long n = 0; stat >> name >> n;)
      (name == "nr_foll_pin_acquired" ? all.acquired : name == "nr_foll_pin_released" ? all.released : n) = n;
    return all;
  }
  [[nodiscard]] long held() const { return acquired - released; }
};

struct world {
  guest::card nic;
  guest::loop wire{nic};
  cache_type cache{nic};
  std::byte* const source = map(64);

  ~world() { ::munmap(source, 64 * page_bytes); }

  region* pin(const void* at, std::size_t length, unsigned access) {
    const auto [held, reason] = cache.pin(number(at), length, access);
    why = reason;
    return held;
  }
  static void unpin(region* held) { CHECK(pinref::unpin_user_page(*held) == pinref::release_result::released); }
  // Writes one letter over so many bytes of a pinned region. The card says that it has.
  void write(const region* to, std::byte* target, std::size_t length, char letter) {
    region* const from = pin(source, 64 * page_bytes, local);
    REQUIRE(from != nullptr);
    std::memset(source, letter, length);
    CHECK(wire.write(*from->handle(), source, *const_cast<region*>(to)->handle(), target, length) == IBV_WC_SUCCESS);
    unpin(from);
  }
  gup_error why = gup_error::none;
};

bool is_all(const std::byte* at, std::size_t length, char letter) {
  for (std::size_t i = 0; i != length; ++i)
    if (at[i] != std::byte(letter)) return false;
  return true;
}

}  // namespace

TEST_CASE_FIXTURE(world, "the kernel pins what the cache says is registered, and not longer") {
  std::byte* const memory = map(700);
  const long before = kernel_pins::now().held();
  const auto pages_of_cache = [&] { return static_cast<long>(cache.counts().bytes / page_bytes); };
  const auto agree = [&] { CHECK(kernel_pins::now().held() - before == pages_of_cache()); };

  region* const all = pin(memory, 64 * page_bytes, remote);
  REQUIRE(all != nullptr);
  CHECK(pages_of_cache() == 64);
  agree();
  region* const little = pin(memory + 100 * page_bytes - 50, 100, remote);
  REQUIRE(little != nullptr);
  CHECK(pages_of_cache() == 66);
  agree();
  // A second transfer costs nothing.
  region* const again = pin(memory + 5000, 5000, remote);
  CHECK(again == all);
  agree();
  // Merged: both are registered until the old one's last pin.
  region* const merged = pin(memory + 60 * page_bytes, 10 * page_bytes, remote);
  REQUIRE(merged != nullptr);
  CHECK(pages_of_cache() == 66 + 70);
  agree();
  for (region* const each : {all, again, merged, little}) unpin(each);
  cache.reap();
  CHECK(pages_of_cache() == 72);
  agree();
  CHECK(cache.close(number(memory), 700 * page_bytes) == gup_error::none);
  CHECK(pages_of_cache() == 0);
  agree();
  ::munmap(memory, 700 * page_bytes);
}

TEST_CASE_FIXTURE(world, "what the kernel does not register has a reason, and leaves no pin") {
  const long before = kernel_pins::now().held();
  std::byte* const memory = map(64);
  ::munmap(memory + 32 * page_bytes, 32 * page_bytes);
  CHECK(pin(memory, 64 * page_bytes, remote) == nullptr);
  CHECK(why == gup_error::not_mapped);
  (void)map(32, memory + 32 * page_bytes, PROT_READ);
  CHECK(pin(memory + 32 * page_bytes, page_bytes, remote) == nullptr);
  CHECK(why == gup_error::not_mapped);
  CHECK(kernel_pins::now().held() == before);
  region* const half = pin(memory, 32 * page_bytes, remote);
  REQUIRE(half != nullptr);
  unpin(half);
  CHECK(cache.close(number(memory), 64 * page_bytes) == gup_error::none);
  CHECK(kernel_pins::now().held() == before);
  ::munmap(memory, 64 * page_bytes);
}

TEST_CASE_FIXTURE(world, "memory under a transfer is not given up; replaced after a close, what is written arrives") {
  std::byte* const memory = map(16);
  region* held = pin(memory, 16 * page_bytes, remote);
  REQUIRE(held != nullptr);
  CHECK(cache.close(number(memory), page_bytes) == gup_error::busy);
  write(held, memory, 16 * page_bytes, 'a');
  CHECK(is_all(memory, 16 * page_bytes, 'a'));

  std::thread owner{[&] {
    CHECK(cache.close(number(memory), 16 * page_bytes, deadline::in_nanoseconds(support::long_time)) ==
          gup_error::none);
    ::munmap(memory, 16 * page_bytes);
    (void)map(16, memory);
    CHECK(cache.open(number(memory), 16 * page_bytes));
  }};
  support::until_watched(held->ref);
  write(held, memory, 16 * page_bytes, 'b');
  CHECK(is_all(memory, 16 * page_bytes, 'b'));
  unpin(held);
  owner.join();
  CHECK(is_all(memory, 16 * page_bytes, 0));
  held = pin(memory, 16 * page_bytes, remote);
  REQUIRE(held != nullptr);
  write(held, memory, 16 * page_bytes, 'c');
  CHECK(is_all(memory, 16 * page_bytes, 'c'));
  unpin(held);

  // The control: an munmap that nobody tells of. The kernel keeps the old pages, and the card says that all is well.
  const long before = kernel_pins::now().held();
  ::munmap(memory, 16 * page_bytes);
  (void)map(16, memory);
  CHECK(kernel_pins::now().held() == before);
  held = pin(memory, 16 * page_bytes, remote);
  REQUIRE(held != nullptr);
  write(held, memory, 16 * page_bytes, 'd');
  CHECK(is_all(memory, 16 * page_bytes, 0));
  unpin(held);
  // Told of, it is registered anew.
  cache.tell(number(memory), 16 * page_bytes);
  held = pin(memory, 16 * page_bytes, remote);
  REQUIRE(held != nullptr);
  write(held, memory, 16 * page_bytes, 'e');
  CHECK(is_all(memory, 16 * page_bytes, 'e'));
  unpin(held);
  ::munmap(memory, 16 * page_bytes);
}

TEST_CASE_FIXTURE(world, "after a fork the parent's transfers arrive, and the child has no card") {
  std::byte* const memory = map(4);
  std::memset(memory, 'o', 4 * page_bytes);
  region* const held = pin(memory, 4 * page_bytes, remote);
  REQUIRE(held != nullptr);
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const ::pid_t child = ::fork();
  if (child == 0) {
    cache.forget_in_child();
    bool good = cache.pin(number(memory), page_bytes, remote).reason == gup_error::dead && cache.counts().regions == 0;
    char none = 0;
    good = good && ::read(ready[0], &none, 1) == 1 && is_all(memory, 4 * page_bytes, 'o');
    ::_exit(good ? 0 : 1);
  }
  // What is written here must not move the parent's pages from under the card.
  std::memset(memory, 'p', 4 * page_bytes);
  write(held, memory, 4 * page_bytes, 'q');
  CHECK(is_all(memory, 4 * page_bytes, 'q'));
  REQUIRE(::write(ready[1], "x", 1) == 1);
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  unpin(held);
  CHECK(cache.close(number(memory), 4 * page_bytes) == gup_error::none);
  for (const int each : ready) ::close(each);
  ::munmap(memory, 4 * page_bytes);
}

namespace {

constexpr const char* device = "/dev/pmem0";
constexpr const char* folder = "/mnt";
constexpr std::size_t nr_pages = 16;

struct mounted {
  explicit mounted(const char* options) {
    if (::mount(device, folder, "ext4", 0, options) != 0)
      throw std::runtime_error("mount with " + std::string{options} + ": errno " + std::to_string(errno));
  }
  ~mounted() { CHECK(::umount(folder) == 0); }
};

// A file of pages of 'o', on the disk, and mapped.
struct mapped_file {
  explicit mapped_file(int flags) {
    fd = ::open("/mnt/file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const std::vector<char> old(nr_pages * page_bytes, 'o');
    if (fd < 0 || ::write(fd, old.data(), old.size()) != static_cast<ssize_t>(old.size()) || ::fsync(fd) != 0)
      throw std::runtime_error("the file");
    void* const got = ::mmap(nullptr, nr_pages * page_bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (got == MAP_FAILED) throw std::runtime_error("mmap of the file: errno " + std::to_string(errno));
    at = static_cast<std::byte*>(got);
  }
  ~mapped_file() {
    ::munmap(at, nr_pages * page_bytes);
    ::close(fd);
  }
  // What is on the disk.
  [[nodiscard]] bool has_on_disk(std::size_t page, char letter) const {
    const int direct = ::open("/mnt/file", O_RDONLY | O_DIRECT | O_CLOEXEC);
    std::byte* const space = map(1);
    const bool read = ::pread(direct, space, page_bytes, static_cast<off_t>(page * page_bytes)) == page_bytes;
    ::close(direct);
    const bool right = read && is_all(space, page_bytes, letter);
    ::munmap(space, page_bytes);
    return right;
  }
  int fd = -1;
  std::byte* at = nullptr;
};

// A page of a mapped file. To make it dirty the processor writes to it, as nothing tells the kernel of the card.
struct file_page {
  pinref::page_ref<> ref{pinref::bias64::live(1)};
  std::atomic<unsigned char>* first = nullptr;
  bool marked = false;

  void free_page() noexcept {}
  void lock() noexcept {}
  void unlock() noexcept {}
  [[nodiscard]] bool dirty() const noexcept { return marked; }
  void set_dirty() noexcept {
    marked = true;
    first->fetch_add(0, std::memory_order_relaxed);
  }
};

}  // namespace

TEST_CASE_FIXTURE(world, "what a card writes to a clean page of a file is lost, unless it is released dirty") {
  const mounted disk{"dax=never"};
  mapped_file file{MAP_SHARED};
  // There, and clean.
  for (std::size_t i = 0; i != nr_pages; ++i) CHECK(file.at[i * page_bytes] == std::byte{'o'});
  region* const held = pin(file.at, nr_pages * page_bytes, remote);
  REQUIRE(held != nullptr);
  // Registered for writing, they were marked once.
  REQUIRE(::fsync(file.fd) == 0);

  file_page frames[2];
  file_page* pinned[2];
  for (std::size_t i = 0; i != 2; ++i) {
    frames[i].first = reinterpret_cast<std::atomic<unsigned char>*>(file.at + i * page_bytes);
    REQUIRE(pinref::try_pin_page(frames[i]) == pinref::take_result::taken);
    pinned[i] = &frames[i];
  }
  write(held, file.at, 2 * page_bytes, 'n');
  CHECK(is_all(file.at, 2 * page_bytes, 'n'));
  REQUIRE(::fsync(file.fd) == 0);
  CHECK(file.has_on_disk(0, 'o'));
  CHECK(file.has_on_disk(1, 'o'));

  // One is just unpinned, the other one is released dirty.
  CHECK(pinref::unpin_user_pages(&pinned[0], 1).ok());
  CHECK(pinref::unpin_user_pages_dirty_lock(&pinned[1], 1, true).ok());
  REQUIRE(::fsync(file.fd) == 0);
  CHECK(file.has_on_disk(0, 'o'));
  CHECK(file.has_on_disk(1, 'n'));

  unpin(held);
  CHECK(cache.close(number(file.at), nr_pages * page_bytes) == gup_error::none);
}

// --- Pages that are the storage.

namespace {

struct storage_page {
  pinref::page_ref<> ref{pinref::bias64::live(1)};
};

}  // namespace

template <>
struct pinref::page_traits<storage_page> {
  static auto& ref(storage_page& p) noexcept { return p.ref; }
  static bool resident(storage_page&) noexcept { return true; }
  static void on_idle(storage_page&) noexcept {}
  static void free_page(storage_page&) noexcept {}
};

namespace {

struct storage_file {
  mapped_file file{MAP_SHARED_VALIDATE | MAP_SYNC};
  storage_page pages[nr_pages];
  pinref::layout_gate<> gate;

  void unmap(std::size_t first, std::size_t last) noexcept {
    // Nobody finds them: there is but one transfer, and it has its page.
    (void)first;
    (void)last;
  }
  storage_page* busy_in(std::size_t first, std::size_t last) noexcept {
    for (std::size_t i = first; i <= last; ++i)
      if (!pinref::page_idle(pages[i])) return &pages[i];
    return nullptr;
  }
  [[nodiscard]] long bytes() const {
    struct stat now {};
    (void)::fstat(file.fd, &now);
    return now.st_size;
  }
};

}  // namespace

TEST_CASE_FIXTURE(world, "a truncate of storage that is mapped waits for the transfer to it") {
  const mounted disk{"dax=always"};
  storage_file all;
  constexpr std::size_t at = 3;
  std::byte* const target = all.file.at + at * page_bytes;

  // The kernel lets no card have such pages for long, so the processor is the device.
  CHECK(pin(target, page_bytes, remote) == nullptr);
  CHECK(why == gup_error::not_longterm);

  REQUIRE(pinref::try_pin_page(all.pages[at]) == pinref::take_result::taken);
  std::memset(target, 'n', page_bytes / 2);
  const auto truncate = [&] { REQUIRE(::ftruncate(all.file.fd, 0) == 0); };
  CHECK(pinref::break_layout(all, all.gate, 0, nr_pages - 1, truncate, {.until = deadline::passed()}) ==
        pinref::break_result::busy);
  CHECK(all.bytes() == nr_pages * page_bytes);

  std::atomic<bool> arrived{false};
  std::thread rest{[&] {
    support::until_watched(all.pages[at].ref);
    std::memset(target + page_bytes / 2, 'n', page_bytes / 2);
    CHECK(all.file.has_on_disk(at, 'n'));
    arrived = true;
    (void)pinref::unpin_user_page(all.pages[at]);
  }};
  CHECK(pinref::break_layout(all, all.gate, 0, nr_pages - 1, [&] {
          CHECK(arrived);
          truncate();
        }) == pinref::break_result::broken);
  CHECK(all.bytes() == 0);
  rest.join();

  // The control: the file is cut off under a transfer that nobody asked about.
  const ::pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGBUS, SIG_DFL);
    *static_cast<volatile std::byte*>(target) = std::byte{'n'};
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGBUS);
}
