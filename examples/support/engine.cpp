// SPDX-License-Identifier: MIT

#include "engine.hpp"

#include <cstdio>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>

#include "plain_engine.hpp"
#ifdef PINREF_HAS_LIBURING
#include "uring_engine.hpp"
#endif

namespace examples {

namespace {

// A program may ask for many engines; the reason stays the same.
void say_once(const std::string& reason) {
  static std::once_flag said;
  std::call_once(said,
                 [&] { std::fprintf(stderr, "%s; using plain O_DIRECT, which pins just as well\n", reason.c_str()); });
}

}  // namespace

std::unique_ptr<engine> make_engine(const std::string& wanted, int fd, [[maybe_unused]] void* memory,
                                    [[maybe_unused]] std::size_t size, engine::completion done) {
#ifdef PINREF_HAS_LIBURING
  if (wanted != "plain") {
    try {
      return std::make_unique<uring_engine>(fd, memory, size, wanted == "registered", done);
    } catch (const std::system_error& refused) {
      say_once(refused.what());
    }
  }
#else
  if (wanted != "plain") say_once("built without liburing");
#endif
  return std::make_unique<plain_engine>(fd, std::move(done));
}

}  // namespace examples
