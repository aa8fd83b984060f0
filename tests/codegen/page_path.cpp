// SPDX-License-Identifier: MIT

// The calls on a page cost what the word costs: no capability, handle, owner, accounting or checking that the host does
// not use leaves an instruction in them, though all their headers are here.

#include <mutex>

#include <pinref/observe/accounted_ref.hpp>
#include <pinref/observe/checked_ref.hpp>
#include <pinref/pinref.hpp>

using pinref::page_ref;
using pinref::release_result;
using pinref::take_result;

struct frame {
  page_ref<> ref;
};

template <>
struct pinref::page_traits<frame> {
  static auto& ref(frame& page) noexcept { return page.ref; }
};

// codegen: locked=1 fetches=0 branches=1 loads=0
extern "C" take_result check_word_get(page_ref<>& ref) {
  return ref.try_get();
}
// codegen: locked=1 fetches=0 branches=1 loads=0 like=check_word_get
extern "C" take_result check_page_get(frame& page) {
  return pinref::get_page_unless_zero(page);
}

// codegen: locked=1 fetches=0 branches=1 loads=0
extern "C" release_result check_word_put(page_ref<>& ref) {
  return ref.put();
}
// codegen: locked=1 fetches=0 branches=1 loads=0 like=check_word_put
extern "C" release_result check_page_put(frame& page) {
  return pinref::put_page(page);
}

// codegen: locked=1 fetches=0 branches=1 loads=0
extern "C" take_result check_word_pin(page_ref<>& ref) {
  return ref.try_pin();
}
// codegen: locked=1 fetches=0 branches=1 loads=0 like=check_word_pin
extern "C" take_result check_page_pin(frame& page) {
  return pinref::try_pin_page(page);
}

// codegen: locked=1 fetches=0 branches=1 loads=0
extern "C" release_result check_word_unpin(page_ref<>& ref) {
  return ref.unpin();
}
// codegen: locked=1 fetches=0 branches=1 loads=0 like=check_word_unpin
extern "C" release_result check_page_unpin(frame& page) {
  return pinref::unpin_user_page(page);
}

// A page that is freed by its last release, and a program that uses every call often, so that a compiler which saves
// space would rather call them.
struct freed {
  page_ref<> ref;
};
void free_it(freed& page) noexcept;

template <>
struct pinref::page_traits<freed> {
  static auto& ref(freed& page) noexcept { return page.ref; }
  static void free_page(freed& page) noexcept { free_it(page); }
};

// codegen: locked=1 fetches=0 branches=1 branches@-O1=2 loads=0
extern "C" release_result check_freed_put(freed& page) {
  return pinref::put_page(page);
}
// codegen: locked=1 fetches=0 branches=1 branches@-O1=2 loads=0
extern "C" release_result check_freed_unpin(freed& page) {
  return pinref::unpin_user_page(page);
}

template <class Page>
int use(Page* pages) {
  int taken = 0;
  for (int i = 0; i != 9; ++i) taken += pinref::try_pin_page(pages[i]) == take_result::taken;
  if (pinref::get_page_unless_zero(pages[9]) == take_result::taken) taken += 10;
  for (int i = 0; i != 9; ++i) (void)pinref::unpin_user_page(pages[i]);
  (void)pinref::put_page(pages[9]);
  return taken;
}
int use_often(frame* a, freed* b) {
  return use(a) + use(b);
}
