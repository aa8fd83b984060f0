#include "engine.hpp"

#include <cstdio>
#include <system_error>
#include <utility>

#include "plain_engine.hpp"
#ifdef PINREF_HAS_LIBURING
#include "uring_engine.hpp"
#endif

namespace buffer_pool {

std::unique_ptr<engine> make_engine(const std::string& wanted, int fd, [[maybe_unused]] void* memory,
                                    [[maybe_unused]] std::size_t size, engine::completion done) {
#ifdef PINREF_HAS_LIBURING
  if (wanted != "plain") {
    try {
      return std::make_unique<uring_engine>(fd, memory, size, wanted == "registered", done);
    } catch (const std::system_error& refused) {
      std::fprintf(stderr, "%s; using plain O_DIRECT, which pins just as well\n", refused.what());
    }
  }
#else
  if (wanted != "plain")
    std::fprintf(stderr, "built without liburing; using plain O_DIRECT, which pins just as well\n");
#endif
  return std::make_unique<plain_engine>(fd, std::move(done));
}

}  // namespace buffer_pool
