// Rows are sorted by counting: first[] serves as the table of counts before it becomes the running sum.
#include "rows.h"

namespace rekur {

size_t rows_bytes(int64_t B, int64_t T) { return size_t(T + 2) * sizeof(int64_t) + size_t(2 * B) * sizeof(int32_t); }

Rows rows_in(const void* memory, int64_t B, int64_t T) {
  const int64_t* first = static_cast<const int64_t*>(memory);
  const int32_t* order = reinterpret_cast<const int32_t*>(first + T + 2);
  return {order, order + B, first};
}

bool valid(const Rows& rows, int64_t B, int64_t T) {
  int64_t active = B;
  for (int64_t b = 0; b < B; ++b) {
    if (rows.order[b] < 0 || rows.order[b] >= B || rows.length[b] < 0 || rows.length[b] > T) return false;
    if (b > 0 && rows.length[b] > rows.length[b - 1]) return false;
  }
  for (int64_t s = 0; s < T; ++s) {
    while (active > 0 && rows.length[active - 1] <= s) --active;
    if (rows.first[s + 1] - rows.first[s] != active) return false;
  }
  return rows.first[0] == 0;
}

Rows plan_rows(const int64_t* lengths, int64_t B, int64_t T, void* memory) {
  int64_t* first = static_cast<int64_t*>(memory);
  int32_t* order = reinterpret_cast<int32_t*>(first + T + 2);
  int32_t* length = order + B;
  if (!lengths) {
    for (int64_t b = 0; b < B; ++b) order[b] = int32_t(b), length[b] = int32_t(T);
    for (int64_t s = 0; s <= T; ++s) first[s] = s * B;
    return {order, length, first};
  }
  for (int64_t s = 0; s < T + 2; ++s) first[s] = 0;
  for (int64_t b = 0; b < B; ++b) ++first[lengths[b]];
  for (int64_t s = T - 1; s >= 0; --s) first[s] += first[s + 1];  // rows of length ≥ s
  for (int64_t b = B - 1; b >= 0; --b) {                          // backward keeps equal lengths in order
    const int64_t place = --first[lengths[b]];
    order[place] = int32_t(b);
    length[place] = int32_t(lengths[b]);
  }
  // Now first[s] counts the rows longer than s, those that run at step s.
  int64_t sum = 0;
  for (int64_t s = 0; s <= T; ++s) {
    const int64_t active = first[s];
    first[s] = sum;
    sum += active;
  }
  return {order, length, first};
}

}  // namespace rekur
