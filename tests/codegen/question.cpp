// SPDX-License-Identifier: MIT

// May the page be pinned? One compare tells a page that is alive and is not.

#include <pinref/ref/page_ref.hpp>

using pinref::page_ref;

// codegen: locked=1 branches=1 loads=0
extern "C" bool check_dma_pinned(page_ref<>& page) {
  return page.dma_pinned();
}

// codegen: locked=1 branches=1 loads=0
extern "C" bool check_dma_pinned_32(page_ref<pinref::bias32>& page) {
  return page.dma_pinned();
}

// codegen: locked=1 branches=0 loads=0
extern "C" bool check_dma_pinned_split(page_ref<pinref::split32>& page) {
  return page.dma_pinned();
}

// codegen: locked=0 branches=1 loads=1
extern "C" bool check_dma_pinned_hint(const page_ref<>& page) {
  return page.dma_pinned_hint();
}

// codegen: locked=0 branches=1 loads=1
extern "C" bool check_dma_pinned_hint_32(const page_ref<pinref::bias32>& page) {
  return page.dma_pinned_hint();
}
