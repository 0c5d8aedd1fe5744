// The generic part compiled for NEON, the baseline of aarch64.
#include <cstring>

#include "api.h"

#if defined(__aarch64__)
#include <arm_neon.h>

namespace rekur::neon {
#include "simd/neon.h"

#include "generic/all-inl.h"
}  // namespace rekur::neon

namespace rekur {
extern const Table table_neon;
const Table table_neon = {"neon", neon::cell_count, neon::cell_facts, neon::need,
                            neon::forward, neon::backward, neon::math};
}  // namespace rekur
#endif
