// The generic part with one lane: runs anywhere.
#include <cstdint>
#include <cstring>

#include "api.h"

namespace rekur::scalar {
#include "simd/scalar.h"

#include "generic/all-inl.h"
}  // namespace rekur::scalar

namespace rekur {
extern const Table table_scalar;
const Table table_scalar = {"scalar", scalar::cell_count, scalar::cell_facts, scalar::need,
                            scalar::forward, scalar::backward, scalar::math};
}  // namespace rekur
