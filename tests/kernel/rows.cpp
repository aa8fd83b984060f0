// SPDX-License-Identifier: MIT

// One named case for each thing a real kernel is known to answer.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "lab.hpp"
#include "small_host.hpp"

namespace kernel {
namespace {

using pinref::protection;

// What a row cannot do without. Most do without `counts`: then outcomes alone are compared.
enum need : unsigned { buffers = 1, direct = 2, peers = 4, moves = 8, huge = 16, counts = 32 };

struct row {
  const char* name;
  unsigned needs;
  void (*run)(lab&);
};

std::string lacking(lab& all, unsigned needs) {
  if ((needs & buffers) != 0 && !all.rings_lacking.empty()) return all.rings_lacking;
  if ((needs & direct) != 0 && !all.file.lacking().empty()) return all.file.lacking();
  if ((needs & peers) != 0 && !all.peer.lacking().empty()) return all.peer.lacking();
  if ((needs & moves) != 0 && !all.mover.lacking().empty()) return all.mover.lacking();
  if ((needs & huge) != 0 && !all.huge_lacking.empty()) return all.huge_lacking;
  if ((needs & counts) != 0 && !all.counters.lacking().empty()) return all.counters.lacking();
  return {};
}

void register_and_unregister(lab& all, std::string_view what, std::vector<iovec> list) {
  all.register_buffers(what, list);
  if (all.registered(0)) all.unregister(what);
}

void touched_pages(lab& all) {
  all.memory.map_touched(0, 1024);
  for (const std::size_t n : {1u, 7u, 64u, 256u, 1024u})
    register_and_unregister(all, std::to_string(n) + " pages", {lab::buffer(all.memory.at(0), n * page_size)});
}

void untouched_pages(lab& all) {
  all.memory.map_private(0, 64);
  register_and_unregister(all, "private, 64 pages", {lab::buffer(all.memory.at(0), 64 * page_size)});
  all.memory.map_shared(0, 64);
  register_and_unregister(all, "shared, 64 pages", {lab::buffer(all.memory.at(0), 64 * page_size)});
  all.memory.map_shared(0, 64);
  if (all.peer.lacking().empty()) all.remote_read("shared, read, 64 pages", all.memory.at(0), 64 * page_size);
}

void memfd(lab& all) {
  const descriptor fd{::memfd_create("pinref", MFD_CLOEXEC)};
  require(::ftruncate(fd.get(), 64 * page_size) == 0, "ftruncate");
  all.memory.map_shared(0, 64, fd.get());
  register_and_unregister(all, "memfd, 64 pages", {lab::buffer(all.memory.at(0), 64 * page_size)});
}

void part_of_a_page(lab& all) {
  all.memory.map_touched(0, 8);
  register_and_unregister(all, "100 bytes in a page", {lab::buffer(all.memory.at(1) + 10, 100)});
  register_and_unregister(all, "100 bytes across two", {lab::buffer(all.memory.at(2) - 50, 100)});
  register_and_unregister(all, "4096 bytes, not from a start", {lab::buffer(all.memory.at(1) + 1, 4096)});
  register_and_unregister(all, "the last byte of a page and the first of the next but one",
                          {lab::buffer(all.memory.at(2) - 1, page_size + 2)});
}

void duplicates(lab& all) {
  all.memory.map_touched(0, 2);
  const iovec same = lab::buffer(all.memory.at(0), page_size);
  register_and_unregister(all, "one page in three buffers", {same, same, same});
  all.register_buffers("in two tables, first", {&same, 1}, 0);
  all.register_buffers("in two tables, second", {&same, 1}, 1);
  const auto ask = [&](const char* what) {
    if (all.mover.lacking().empty()) all.same_pinned(what, all.memory.at(0));
  };
  all.unregister("in two tables, first", 0);
  ask("still pinned by the second");
  all.unregister("in two tables, second", 1);
  ask("pinned by none");
}

void no_access(lab& all) {
  all.memory.map_touched(0, 64);
  all.memory.protect(0, 64, protection::read);
  register_and_unregister(all, "read-only", {lab::buffer(all.memory.at(0), 64 * page_size)});
  all.memory.protect(0, 64, protection::none);
  register_and_unregister(all, "no access", {lab::buffer(all.memory.at(0), 64 * page_size)});
  all.memory.protect(0, 64, protection::read_write);
  all.memory.protect(32, 1, protection::read);
  register_and_unregister(all, "read-only in the middle", {lab::buffer(all.memory.at(0), 64 * page_size)});
  all.memory.unmap(0, 64);
  register_and_unregister(all, "unmapped", {lab::buffer(all.memory.at(0), 64 * page_size)});
}

void hole_in_the_middle(lab& all) {
  all.memory.map_touched(0, 64);
  all.memory.unmap(32, 1);
  register_and_unregister(all, "hole at 32 of 64", {lab::buffer(all.memory.at(0), 64 * page_size)});
}

void all_or_nothing(lab& all) {
  all.memory.map_touched(0, 8);
  all.memory.unmap(4, 4);
  register_and_unregister(all, "the second buffer is unmapped",
                          {lab::buffer(all.memory.at(0), page_size), lab::buffer(all.memory.at(4), page_size)});
  register_and_unregister(all, "an empty slot is none", {iovec{nullptr, 0}, lab::buffer(all.memory.at(0), page_size)});
}

// io_uring has fewer errors than pinref: it says EFAULT for every range that it does not like.
void bad_ranges(lab& all) {
  const auto both = [&](const char* what, iovec range, int by_kernel, int by_pinref) {
    outcome got = all.rings[0].register_buffers({&range, 1});
    all.out.same(what, got, outcome{by_kernel, 0});
    got = all.tables[0].register_buffers(all.memory.space(), {&range, 1}, all.merges);
    all.out.same(what, outcome{by_pinref, 0}, got);
  };
  all.memory.map_touched(0, 1);
  both("no byte", lab::buffer(all.memory.at(0), 0), EFAULT, EINVAL);
  both("wraps around", lab::buffer(~std::uintptr_t{0} - page_size + 1, 2 * page_size), EOVERFLOW, EOVERFLOW);
  both("not an address of user space", lab::buffer(~std::uintptr_t{0} - 64 * page_size + 1, page_size), EFAULT, EFAULT);
}

void huge_pages(lab& all) {
  if (!all.memory.map_huge(0) || !all.memory.map_huge(1)) return all.out.skip_rest(no_huge_page);
  const std::uintptr_t at = all.memory.huge_at(0);
  register_and_unregister(all, "whole", {lab::buffer(at, huge_size)});
  register_and_unregister(all, "16 pages", {lab::buffer(at + 5 * page_size, 16 * page_size)});
  register_and_unregister(all, "two halves in two buffers",
                          {lab::buffer(at, huge_size / 2), lab::buffer(at + huge_size / 2, huge_size / 2)});
  register_and_unregister(all, "from the middle of one to the middle of the next",
                          {lab::buffer(at + huge_size / 2, huge_size)});
  if (all.peer.lacking().empty()) all.remote_write("512 pages of two", at + huge_size / 2, huge_size);
  if (all.file.lacking().empty()) all.direct_read("256 pages of two", at + huge_size * 3 / 4, huge_size / 2);
}

// A compound page counts in one place: a pin of one of its pages shows in all.
void huge_page_pinned_in_part(lab& all) {
  if (!all.memory.map_huge(0)) return all.out.skip_rest(no_huge_page);
  const std::uintptr_t at = all.memory.huge_at(0);
  const iovec first = lab::buffer(at, page_size);
  all.same_pinned("before", at, huge_size);
  all.register_buffers("its first page", {&first, 1});
  all.same_pinned("all of it", at, huge_size);
  all.same_pinned("its sixth page", at + 5 * page_size);
  all.unregister("its first page");
  all.same_pinned("after", at, huge_size);
}

// In the middle of a page of 2 MiB, some of its entries allow less.
void huge_page_protected_in_part(lab& all) {
  if (!all.memory.map_huge(0)) return all.out.skip_rest(no_huge_page);
  const std::uintptr_t at = all.memory.huge_at(0);
  all.memory.protect(mirror::small_pages + 16, 8, protection::read);
  register_and_unregister(all, "over a read-only part", {lab::buffer(at, 64 * page_size)});
  register_and_unregister(all, "before it", {lab::buffer(at, 16 * page_size)});
  if (all.peer.lacking().empty()) {
    all.remote_write("written over it", at, 64 * page_size);
    all.remote_read("read over it", at, 64 * page_size);
  }
}

void direct_sizes(lab& all) {
  all.memory.map_touched(0, 257);
  const std::uintptr_t at = all.memory.at(0);
  all.direct_read("a page", at, page_size);
  all.direct_read("256 pages", at, 256 * page_size);
  all.direct_read("512 bytes", at, 512);
  all.direct_read("4096 bytes from the 512th on", at + 512, page_size);
  all.direct_write("256 pages", at, 256 * page_size);
}

void direct_partial(lab& all) {
  all.memory.map_touched(0, 256);
  all.memory.unmap(128, 128);
  all.direct_read("the second half is unmapped", all.memory.at(0), 256 * page_size);
  all.direct_write("written, the second half is unmapped", all.memory.at(0), 256 * page_size);
  all.memory.protect(0, 128, protection::read);
  all.direct_read("into read-only memory", all.memory.at(0), page_size);
  all.direct_write("from read-only memory", all.memory.at(0), 16 * page_size);
}

void remote_partial(lab& all) {
  all.memory.map_touched(0, 256);
  const std::uintptr_t at = all.memory.at(0);
  all.remote_read("1 MiB", at, 256 * page_size);
  all.remote_write("1 MiB", at, 256 * page_size);
  all.remote_read("100 bytes across two pages", at + page_size - 50, 100);
  all.memory.unmap(100, 1);
  all.remote_read("up to a hole", at + 10, 200 * page_size);
  all.remote_write("up to a hole", at + 10, 200 * page_size);
  all.remote_read("from a hole on", all.memory.at(100), 2 * page_size);
  all.memory.protect(50, 1, protection::read);
  all.remote_read("over a read-only page", at, 60 * page_size);
  all.remote_write("up to a read-only page", at, 60 * page_size);
}

void zero_page(lab& all) {
  constexpr std::size_t n = 16;
  const std::uintptr_t at = all.memory.at(0);
  all.memory.map_private(0, n);
  small_space space{at, n, false};
  const auto read = [&](const char* what) {
    all.compare(
        what, [&] { return all.file.write(at, n * page_size); },
        [&] { return direct_access(space, at, n * page_size, false); });
  };
  read("read by a device before anybody wrote");
  if (!all.rings_lacking.empty()) return;
  const iovec whole = lab::buffer(at, n * page_size);
  buffer_table<small_space> table;
  all.compare(
      "a write pin replaces it",
      [&] {
        return all.rings[0].register_buffers({&whole, 1});
      },
      [&] {
        return table.register_buffers(space, {&whole, 1}, all.merges);
      },
      [&] { return all.forget(); });
  read("read by a device afterwards");
  all.compare(
      "released", [&] { return all.rings[0].unregister(); }, [&] { return table.unregister(); }, lab::no_undo);
}

// The default host allocates where the kernel maps its zero page, so it counts where the kernel does not.
void zero_page_of_the_default_host(lab& all) {
  const std::uintptr_t at = all.memory.at(0);
  all.memory.map_private(0, 16);
  const pinref::pin_totals before = all_pins.totals();
  const outcome wanted = direct_access(all.memory.space(), at, 16 * page_size, false);
  all.out.same("pinref counts 16", lab::since(before, all_pins.totals()), pinref::pin_totals{16, 16});
  all.compare_counts(
      "the kernel counts none", [&] { return all.file.write(at, 16 * page_size); }, wanted, {}, lab::nothing_to_undo);
}

void shared_file(lab& all) {
  constexpr std::size_t n = 16;
  direct_file other;
  const std::uintptr_t at = all.memory.at(0);
  const iovec whole = lab::buffer(at, n * page_size);
  if (!other.lacking().empty()) return all.out.skip_rest(other.lacking());
  all.memory.map_shared(0, n, other.fd());
  small_space space{at, n, true};

  if (all.rings_lacking.empty()) {
    // EOPNOTSUPP is what pinref, with its own reason not_longterm, and the kernel for DAX files say. For other files
    // the kernel says EFAULT. The pins are the same: one of a page that is found present, given back at once.
    const auto refused = [&](const char* what) {
      buffer_table<small_space> table;
      const pinref::pin_totals before = all_pins.totals();
      all.out.same(what, outcome{EOPNOTSUPP, 0}, table.register_buffers(space, {&whole, 1}, all.merges));
      all.compare_counts(
          what,
          [&] {
            return all.rings[0].register_buffers({&whole, 1});
          },
          {EFAULT, 0}, lab::since(before, all_pins.totals()), [&] { return all.forget(); });
    };
    refused("pinned for long, untouched");
    for (std::size_t i = 0; i != n; ++i) *reinterpret_cast<volatile char*>(all.memory.at(i)) = 1;
    (void)pinref::fault_in_user_pages(space, at, n, pinref::foll::write);
    refused("pinned for long, present");
    require(::msync(whole.iov_base, whole.iov_len, MS_SYNC) == 0, "msync");
  }

  all.compare(
      "pinned for one read", [&] { return all.file.read(at, n * page_size); },
      [&] { return direct_access(space, at, n * page_size, true); });
  // The device's data reaches the file only if the release has marked the pages dirty.
  require(::msync(whole.iov_base, whole.iov_len, MS_SYNC) == 0, "msync");
  all.memory.map_touched(n, n);
  bool written = other.read(all.memory.at(n), n * page_size).error == 0;
  for (std::size_t i = n; i != 2 * n; ++i) written = written && *reinterpret_cast<char*>(all.memory.at(i)) == 'd';
  all.out.same("the release marks the pages dirty", written, space.all_dirty());
  all.memory.unmap(0, n);
}

void unmapped_under_pins(lab& all) {
  all.memory.map_touched(0, 16);
  const iovec whole = lab::buffer(all.memory.at(0), 16 * page_size);
  all.register_buffers("registered", {&whole, 1});
  mirror::page* const old = all.memory.page_at(all.memory.at(0));
  all.compare(
      "munmap and mmap release no pin",
      [&] {
        all.memory.map_touched(0, 16);
        return outcome{};
      },
      [] { return outcome{}; }, lab::no_undo);
  all.out.same("the old page lives by its pin alone", outcome{0, 1}, maybe_pinned(*old));
  if (all.mover.lacking().empty()) all.same_pinned("the new page has no pin", all.memory.at(0));
  all.unregister("released at the end");
}

void dropped_under_pins(lab& all) {
  all.memory.map_touched(0, 4);
  const iovec whole = lab::buffer(all.memory.at(0), 4 * page_size);
  all.register_buffers("registered", {&whole, 1});
  all.same_pinned("pinned", all.memory.at(1));
  all.memory.drop(1, 1);
  all.memory.store(1);
  all.same_pinned("the page that came instead is not", all.memory.at(1));
  all.same_pinned("its neighbour still is", all.memory.at(2));
  all.unregister("all are released, the lost one too");
  all.same_pinned("nothing is left", all.memory.at(2));
}

void protected_under_pins(lab& all) {
  all.memory.map_touched(0, 4);
  const iovec whole = lab::buffer(all.memory.at(0), 4 * page_size);
  all.register_buffers("registered", {&whole, 1}, 0);
  all.memory.protect(0, 4, protection::read);
  all.register_buffers("a second time, read-only now", {&whole, 1}, 1);
  if (all.file.lacking().empty()) all.direct_read("a transient pin, read-only now", all.memory.at(0), page_size);
  all.memory.protect(0, 4, protection::read_write);
  all.same_pinned("the first pin stands", all.memory.at(0));
  all.unregister("released", 0);
  all.same_pinned("no pin is left", all.memory.at(0));
}

void a_reference_is_no_pin(lab& all) {
  all.memory.map_touched(0, 1);
  const std::uintptr_t at = all.memory.at(0);
  all.same_pinned("mapped only", at);
  mirror::page* page = nullptr;
  all.compare(
      "a reference is not counted as a pin",
      [&] {
        const spliced_references one{at, 1};
        return outcome{one.complete() ? 0 : EMFILE, 0};
      },
      [&] {
        const auto done = pinref::get_user_pages_fast(all.memory.space(), at, 1, pinref::foll::none, &page);
        return outcome{pinref::to_errno(done.reason), 0};
      });
  {
    const spliced_references one{at, 1};
    all.same_pinned("referenced", at);
  }
  (void)pinref::release_pages(&page, 1);
  const iovec whole = lab::buffer(at, page_size);
  all.register_buffers("pinned", {&whole, 1});
  all.same_pinned("pinned", at);
  all.unregister("unpinned");
  all.same_pinned("unpinned", at);
}

// References on the batches that wait for the page lists would count too: more pages flush them.
void settle(lab& all) {
  all.memory.map_touched(512, 256);
}

void edge_of_maybe(lab& all) {
  all.memory.map_touched(0, 1);
  settle(all);
  const std::uintptr_t at = all.memory.at(0);
  mirror::page& page = *all.memory.page_at(at);
  // One reference is the mapping's and one the asker's: the edge is at 1024 together.
  for (const std::size_t n : {1000u, 1020u, 1021u, 1022u, 1023u, 1100u}) {
    const spliced_references held{at, n};
    if (!held.complete()) return all.out.skip_rest("pipes are limited here");
    (void)pinref::get_page(page, n);
    all.same_pinned(std::to_string(n) + " references", at);
    (void)pinref::put_page(page, n);
  }
  all.same_pinned("no reference is left", at);
}

// Of a large page the kernel counts pins apart from references, so its answer is exact. So is that of bias64; bias32
// has one arithmetic for all pages, and its edge there too.
void references_on_a_huge_page(lab& all) {
  if (!all.memory.map_huge(0)) return all.out.skip_rest(no_huge_page);
  const std::uintptr_t at = all.memory.huge_at(0);
  const spliced_references held{at, 1100};
  if (!held.complete()) return all.out.skip_rest("pipes are limited here");
  pinref::page_ref<pinref::bias64> exact;
  exact.init(1101);
  const outcome by_kernel = all.mover.maybe_pinned(at, huge_size);
  all.out.same("bias64", by_kernel, outcome{0, exact.dma_pinned() ? 1u : 0u});
  pinref::page_ref<pinref::split32> apart;
  apart.init(1101);
  all.out.same("split", by_kernel, outcome{0, apart.dma_pinned() ? 1u : 0u});
  mirror::page& page = *all.memory.page_at(at);
  (void)pinref::get_page(page, 1100);
  all.out.same("bias32 says maybe", outcome{0, 1}, maybe_pinned(page));
  (void)pinref::put_page(page, 1100);
}

// A child that says something on a pipe and then waits to be killed.
template <class Say>
class child {
 public:
  explicit child(Say say) {
    int ends[2];
    require(::pipe(ends) == 0, "pipe");
    from_ = descriptor{ends[0]};
    descriptor to{ends[1]};
    pid_ = ::fork();
    if (pid_ == 0) {
      say(to.get());
      ::close(to.get());
      for (;;) ::pause();
    }
  }
  child(const child&) = delete;
  ~child() { kill(); }

  [[nodiscard]] int listen() const { return from_.get(); }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  descriptor from_;
  pid_t pid_ = -1;
};

void killed_holder(lab& all) {
  constexpr std::size_t n = 16;
  using space = mirror::space_type;
  // As a child's: the mirror's own memory would be copied by its fork.
  mirror::arena frames{1};
  space theirs{frames, 0x100000, n};
  theirs.map(0x100000, n, protection::read_write);
  pinref::pin_owner<mirror::page, std::mutex> owner;
  pinref::pin_request<mirror::page, std::mutex> request{owner};
  mirror::page* pages[n];

  const auto hold = [](int to) {
    void* const at = ::mmap(nullptr, n * page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    static ring own;
    const iovec whole{at, n * page_size};
    const outcome done = own.register_buffers({&whole, 1});
    if (::write(to, &done, sizeof done) != static_cast<ssize_t>(sizeof done)) ::_exit(1);
  };
  std::optional<child<decltype(hold)>> holder;
  all.compare(
      "pinned by another process",
      [&] {
        holder.emplace(hold);
        outcome done{ESRCH, 0};
        (void)!::read(holder->listen(), &done, sizeof done);
        return done;
      },
      [&] {
        const auto done = request.pin_user_pages_fast(theirs, 0x100000, pinref::foll::write, pages);
        return outcome{pinref::to_errno(done.reason), 0};
      },
      lab::no_undo);
  all.compare(
      "its pins go when it is killed",
      [&] {
        holder->kill();
        return outcome{};
      },
      [&] {
        (void)owner.unpin_all();
        return outcome{};
      },
      lab::no_undo);
}

// RLIMIT_MEMLOCK against pin_owner: charged for each registration, whatever else holds the page.
void memory_limit(lab& all) {
  constexpr std::size_t most = 16;
  struct answers {
    std::size_t limit = 0;
    int errors[6] = {};
  };
  const auto ask = [](int to) {
    const rlimit limit{most * page_size, most * page_size};
    answers got;
    // A user that has nothing else locked; where that is not allowed, the own one. The limit binds whoever may not
    // lock.
    bool bound = ::setrlimit(RLIMIT_MEMLOCK, &limit) == 0;
    if (::geteuid() == 0)
      bound = bound && ::setresgid(61234, 61234, 61234) == 0 && ::setresuid(61234, 61234, 61234) == 0;
    static ring first, second;
    void* const at = ::mmap(nullptr, 2 * most * page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const auto take = [&](ring& which, std::size_t n) {
      const iovec range{at, n * page_size};
      return which.register_buffers({&range, 1}).error;
    };
    if (bound && first.lacking().empty() && second.lacking().empty())
      for (std::size_t n = 1; n <= 2 * most && take(first, n) == 0; ++n) {
        got.limit = n;
        (void)first.unregister();
      }
    const std::size_t half = got.limit / 2;
    got.errors[0] = take(first, half);
    got.errors[1] = take(second, half);
    (void)second.unregister();
    got.errors[2] = take(second, got.limit - half + 1);
    got.errors[3] = take(second, got.limit - half);
    (void)first.unregister();
    (void)second.unregister();
    got.errors[4] = take(first, got.limit + 1);
    got.errors[5] = take(first, got.limit);
    // Not left to the kill, after which the pins go in their own time.
    (void)first.unregister();
    if (::write(to, &got, sizeof got) != static_cast<ssize_t>(sizeof got)) ::_exit(1);
  };
  const child<decltype(ask)> asked{ask};
  answers got;
  (void)!::read(asked.listen(), &got, sizeof got);
  if (got.limit < 4 || got.limit > most) return all.out.skip_rest("it does not bind an ordinary user's io_uring here");

  all.memory.map_touched(0, 2 * most);
  pinref::pin_owner<mirror::page, std::mutex> owner{got.limit};
  pinref::pin_request<mirror::page, std::mutex> first{owner}, second{owner};
  mirror::page* pages[2][2 * most];
  const auto take = [&](auto& which, mirror::page** into, std::size_t n) {
    const auto flags = pinref::foll::write | pinref::foll::longterm | pinref::foll::all;
    return pinref::to_errno(
        which.pin_user_pages_fast(all.memory.space(), all.memory.at(0), flags, std::span(into, n)).reason);
  };
  const std::size_t half = got.limit / 2;
  all.out.same("half of it", got.errors[0], take(first, pages[0], half));
  all.out.same("the same pages again", got.errors[1], take(second, pages[1], half));
  (void)second.unpin();
  all.out.same("one page more than is left", got.errors[2], take(second, pages[1], got.limit - half + 1));
  all.out.same("what is left", got.errors[3], take(second, pages[1], got.limit - half));
  (void)first.unpin();
  (void)second.unpin();
  all.out.same("one page more than the limit", got.errors[4], take(first, pages[0], got.limit + 1));
  all.out.same("the limit", got.errors[5], take(first, pages[0], got.limit));
  (void)first.unpin();
}

constexpr row rows[] = {
    {"touched pages are pinned one by one", buffers, touched_pages},
    {"untouched pages are faulted in", buffers, untouched_pages},
    {"memfd", buffers, memfd},
    {"part of a page rounds out", buffers, part_of_a_page},
    {"duplicates count", buffers, duplicates},
    {"no access, no pin", buffers, no_access},
    {"a hole in the middle undoes the pins before it", buffers, hole_in_the_middle},
    {"all buffers or none", buffers, all_or_nothing},
    {"bad ranges", buffers, bad_ranges},
    {"pages of 2 MiB", buffers | huge, huge_pages},
    {"a page of 2 MiB pinned in part", buffers | huge | moves, huge_page_pinned_in_part},
    {"a page of 2 MiB protected in part", buffers | huge, huge_page_protected_in_part},
    {"O_DIRECT pins what it touches", direct, direct_sizes},
    {"O_DIRECT over a hole", direct, direct_partial},
    {"process_vm_readv and writev go as far as the pages", peers, remote_partial},
    {"the zero page is not counted", direct, zero_page},
    {"the default host has no zero page", direct | counts, zero_page_of_the_default_host},
    {"pages of a file", direct, shared_file},
    {"munmap under pins", buffers, unmapped_under_pins},
    {"MADV_DONTNEED under pins", buffers | moves, dropped_under_pins},
    {"mprotect under pins", buffers | moves, protected_under_pins},
    {"a reference is no pin", buffers | moves, a_reference_is_no_pin},
    {"the edge of maybe pinned", moves, edge_of_maybe},
    {"references on a page of 2 MiB", moves | huge, references_on_a_huge_page},
    {"RLIMIT_MEMLOCK", buffers, memory_limit},
    {"a killed holder", buffers | counts, killed_holder},
};

}  // namespace

void run_rows(lab& all) {
  if (!all.counters.lacking().empty()) all.out.skip("counts of pins, in every row", all.counters.lacking());
  for (const row& each : rows) {
    if (const std::string why = lacking(all, each.needs); !why.empty()) {
      all.out.skip(each.name, why);
      continue;
    }
    all.out.begin(each.name);
    each.run(all);
    all.out.end();
    all.memory.unmap(0, mirror::nr_pages);
  }
}

}  // namespace kernel
