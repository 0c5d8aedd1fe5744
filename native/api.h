// What passes between the binding, the dispatcher and the compiled targets: plain data, no Python, no containers.
//
// Notation: B batch, T time, I input size, H hidden size, G gates, S states.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rekur {

constexpr int max_states = 2;

// The threads that work on one call. Every worker calls barrier() equally often.
struct Team {
  int rank, size;
  void (*wait)();  // null in a team of one
  void barrier() const {
    if (wait) wait();
  }
};

// The rows of a batch, longest first; memory of the caller, filled by plan_rows. At step s the rows 0 … active-1
// of this order run, where active = first[s + 1] - first[s].
struct Rows {
  const int32_t* order;   // (B,) in: row of the batch at each place
  const int32_t* length;  // (B,) in: its length, descending
  const int64_t* first;   // (T + 1,) in: running sum of the active rows
};

// One problem. Strides count elements; the last dimension of every array is contiguous. No pointer aliases another.
// All arrays belong to the caller.
struct Problem {
  int64_t B, T, I, H;
  bool reverse;                  // walk each row from its last valid step to its first
  int threads;                   // at most so many; no result depends on it
  const void* x;                 // (B, T, I) in
  int64_t x_batch, x_time;       // its strides
  const void *W, *R;             // (G·H, I), (G·H, H) in, contiguous
  const void *bW, *bR;           // (G·H,) in, each may be null
  const void* init[max_states];  // S × (B, H) in, contiguous, each may be null for zeros: the states before the first
                                 // step; only forward
  const uint8_t* resets;         // (B, T) in, may be null: where it is not 0 the states before that step are zero
  int64_t resets_batch, resets_time;  // its strides
  void* y;                       // (B, T, H) out in forward; backward does not look at it
  int64_t y_batch, y_time;       // its strides
  void* last[max_states];        // S × (B, H) out in forward, contiguous: the states after each row's last step
  Rows rows;
};

// The gradients of one problem. An `in` pointer that is null stands for zeros, an `out` pointer that is null is
// not wanted.
struct Gradient {
  const void* dy;                 // (B, T, H) in, may be null
  int64_t dy_batch, dy_time;      // its strides
  const void* dlast[max_states];  // S × (B, H) in, contiguous, each may be null
  void* dx;                       // (B, T, I) out, may be null
  int64_t dx_batch, dx_time;      // its strides
  void *dW, *dR, *dbW, *dbR;      // as the weights, out, each may be null
  void* dinit[max_states];        // S × (B, H) out, each may be null
};

// Bytes a call needs. The caller allocates both, 64-byte aligned; scratch lives as long as the call, the tape from
// forward to the last backward. Backward only reads the tape.
struct Need {
  size_t scratch, tape;
};

struct CellFacts {
  const char* name;
  int gates, states;
  const char* const* gate_names;
  const char* const* state_names;
};

// Of bfloat16 are x, y, dy, dx and the tape; weights, states and their gradients are float32 then.
enum class Dtype { float32, float64, bfloat16 };
enum class Function { exp, tanh, sigmoid };

// What one compiled target offers. `cell` counts in the order of `cells`. Forward keeps a tape if it is not null.
struct Table {
  const char* name;
  int cell_count;
  const CellFacts* cells;
  Need (*need)(int cell, Dtype, const Problem&, bool backward);
  void (*forward)(int cell, Dtype, const Problem&, void* tape, void* scratch);
  void (*backward)(int cell, Dtype, const Problem&, const Gradient&, const void* tape, void* scratch);
  void (*math)(Function, Dtype, const void* in, void* out, int64_t n);  // (n,) in, (n,) out
};

// team.cpp: run work(context, team) on up to `threads` threads with flush-to-zero set, and wait for all of them.
void run_team(int threads, void (*work)(void*, const Team&), void* context);

}  // namespace rekur
