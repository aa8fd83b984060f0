// SPDX-License-Identifier: MIT

// A program with two plug-ins, each with a copy of the library of its own: what one waits for, the other ends.
//
//   host A.so B.so           checks all of it, and prints "N passed, N failed"
//   host A.so --waits FD     a second process, which waits by A on what stands in the memory FD

#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <thread>

#include "shared.hpp"

namespace {

using namespace plugins;

int passed = 0, failed = 0;

void check(bool holds, const char* text) {
  ++(holds ? passed : failed);
  if (!holds) std::printf("failed: %s\n", text);
}

struct loaded {
  explicit loaded(const char* file) : handle(::dlopen(file, RTLD_NOW | RTLD_LOCAL)) {
    if (handle == nullptr) {
      std::printf("%s\n", ::dlerror());
      std::exit(1);
    }
    call = reinterpret_cast<decltype(&plugin)>(::dlsym(handle, "plugin"))();
  }
  loaded(const loaded&) = delete;
  ~loaded() { ::dlclose(handle); }
  const functions* operator->() const { return call; }

  void* handle;
  const functions* call;
};

const char* name_of(what which) {
  constexpr const char* names[] = {"unpinned, bias64", "unpinned, bias32", "unpinned, split", "one holder", "gate",
                                   "page lock",        "canceller"};
  return names[static_cast<int>(which)];
}

void waits(const loaded& a, const loaded& b) {
  for (const what which : all_waits) {
    const auto on = std::make_unique<waited_on<pinref::std_sync>>();
    a->prepare(*on);
    int wrong = 1;
    std::thread waiter([&] { wrong = a->wait(*on, which); });
    ::usleep(10'000);
    b->end(*on, which);
    waiter.join();
    check(wrong == 0, name_of(which));
  }
}

void totals(const loaded& a, const loaded& b) {
  const auto page = std::make_unique<counted>();
  page->ref.init();
  a->pin_counted(*page, 5);
  b->pin_counted(*page, 4);
  b->unpin_counted(*page, 7);
  check(page->accounts.totals().acquired == 9 && page->accounts.totals().released == 7, "totals of two plug-ins");
}

// One thread of each plug-in on one hot page: submitted in A, completed in B.
void hot_pages(const loaded& a, const loaded& b) {
  constexpr int times = 200'000, kept = 100;
  const auto page = std::make_unique<hot>();
  page->ref.init();
  if (!a->make_hot(*page)) {
    std::printf("skipped: hot pages: no membarrier(2) here\n");
    return;
  }
  int wrong = a->pin_hot(*page, kept);
  std::atomic<bool> over{false};
  std::thread in_a([&] { wrong += a->pin_hot(*page, times), a->leave(*page); });
  in_a.join();
  int also_wrong = 0, unseen = 0;
  std::thread asks([&] {
    while (!over) unseen += !a->hot_is_pinned(*page);
  });
  std::thread in_both([&] {
    also_wrong += b->unpin_hot(*page, times / 2) + b->pin_hot(*page, times) + a->unpin_hot(*page, times),
        b->leave(*page), a->leave(*page);
  });
  std::thread in_b([&] { wrong += b->unpin_hot(*page, times / 2), b->leave(*page); });
  in_both.join();
  in_b.join();
  over = true;
  asks.join();
  check(wrong == 0 && also_wrong == 0, "no take and no release of a hot page is refused");
  check(unseen == 0, "a pinned hot page looks pinned at any time");
  check(b->make_exact(*page) == kept, "two plug-ins count on one hot page");
  wrong = b->unpin_hot(*page, kept);
  check(wrong == 0 && !b->hot_is_pinned(*page), "and it is unpinned in the end");
  a->leave(*page);
  b->leave(*page);
}

// The object ends, then the plug-in is unloaded, then a thread that used both ends.
void ends_in_any_order(const char* a_file, const char* b_file) {
  std::thread user([&] {
    auto page = std::make_unique<hot>();
    page->ref.init();
    {
      const loaded a(a_file), b(b_file);
      if (!a->make_hot(*page)) return;
      check(a->pin_hot(*page, 3) == 0 && b->unpin_hot(*page, 3) == 0, "a page of a thread's own");
      check(b->make_exact(*page) == 0, "is counted right");
      a->leave(*page);
      b->leave(*page);
      page.reset();
    }
  });
  user.join();
  check(true, "a thread ends after its numbers and its plug-ins");
}

using shared_words = waited_on<pinref::shared_sync>;

void* map(int fd) {
  void* const at = ::mmap(nullptr, sizeof(shared_words), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) std::exit(1);
  return at;
}

int wait_in_this_process(const char* file, int fd) {
  const loaded a(file);
  auto& on = *static_cast<shared_words*>(map(fd));
  int wrong = 0;
  for (const what which : all_waits) wrong += a->wait_shared(on, which);
  return wrong;
}

void processes(char* self, char* a_file, const loaded& b) {
  const int fd = ::memfd_create("pinref plugins", 0);
  if (fd < 0 || ::ftruncate(fd, sizeof(shared_words)) != 0) std::exit(1);
  auto& on = *new (map(fd)) shared_words;
  b->prepare_shared(on);
  const ::pid_t child = ::fork();
  if (child == 0) {
    std::string number = std::to_string(fd);
    char option[] = "--waits";
    char* arguments[] = {self, a_file, option, number.data(), nullptr};
    ::execv(self, arguments);
    ::_exit(127);
  }
  for (const what which : {what::wide, what::narrow, what::apart, what::gate, what::lock, what::cancelled}) {
    ::usleep(30'000);
    // The canceller ends a wait for a pin that stays.
    if (which == what::lock) (void)on.narrow.try_pin();
    b->end_shared(on, which);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  check(status == 0, "two processes on one memory, each with a copy of the library");
  check(on.narrow.pins() == 1, "and no pin is lost");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[2], "--waits") == 0) return wait_in_this_process(argv[1], std::atoi(argv[3]));
  if (argc != 3) return 2;
  {
    const loaded a(argv[1]), b(argv[2]);
    if (a.call == b.call) {
      std::printf("failed: the plug-ins are one\n");
      return 1;
    }
    waits(a, b);
    waits(b, a);
    totals(a, b);
    hot_pages(a, b);
    processes(argv[0], argv[1], b);
  }
  ends_in_any_order(argv[1], argv[2]);
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
