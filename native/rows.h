// The order in which a batch is walked.
#pragma once

#include "api.h"

namespace rekur {

size_t rows_bytes(int64_t B, int64_t T);

// Sort the rows by length, longest first, rows of equal length in the order of the batch.
//   lengths  (B,) in, each in 0 … T, or null for all T
//   memory   rows_bytes(B, T) bytes, out; the result points into it
Rows plan_rows(const int64_t* lengths, int64_t B, int64_t T, void* memory);

// What plan_rows has written to this memory, or to that which it was copied from.
Rows rows_in(const void* memory, int64_t B, int64_t T);

// Whether memory that plan_rows may not have written describes rows of a batch, so that no kernel leaves its arrays.
bool valid(const Rows& rows, int64_t B, int64_t T);

}  // namespace rekur
