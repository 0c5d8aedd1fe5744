// The binding: addresses and sizes from Python into a Problem, and back. All checks stand in kernels/native.py.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "dispatch.h"
#include "pool.h"
#include "rows.h"

namespace nb = nanobind;
using namespace rekur;

namespace {

using Address = uintptr_t;  // of a tensor's first element; 0 for none

constexpr double work_per_thread = 5e5;  // multiply-adds that are worth waking a thread for

std::atomic<const Table*> active_table{nullptr};

const Table& active() {
  const Table* table = active_table.load();
  if (!table) active_table.store(table = &best_target());
  return *table;
}

// What forward leaves for backward; it belongs to one graph and is only read once forward has returned.
struct Tape {
  const Table* table;
  int cell;
  Dtype dtype;
  Block memory, row_memory;
  Problem problem;  // its pointers to tensors are set anew by every pass
};

const void* in(Address a) { return reinterpret_cast<const void*>(a); }
void* out(Address a) { return reinterpret_cast<void*>(a); }

int useful_threads(const Tape& t, int threads) {
  const Problem& p = t.problem;
  const double work = double(p.rows.first[p.T]) * double(p.I + p.H) * double(p.H * t.table->cells[t.cell].gates);
  return std::max(1, std::min(threads, int(std::min(work / work_per_thread, 1e4))));
}

void set_inputs(Problem& p, Address x, int64_t x_batch, int64_t x_time, Address W, Address R, Address bW, Address bR,
                Address init0, Address init1, Address y, int64_t y_batch, int64_t y_time) {
  p.x = in(x), p.x_batch = x_batch, p.x_time = x_time;
  p.W = in(W), p.R = in(R), p.bW = in(bW), p.bR = in(bR);
  p.init[0] = in(init0), p.init[1] = in(init1);
  p.y = out(y), p.y_batch = y_batch, p.y_time = y_time;
}

Tape* forward(int cell, bool float64, int64_t B, int64_t T, int64_t I, int64_t H, bool reverse, Address lengths,
              int threads, bool training, Address x, int64_t x_batch, int64_t x_time, Address W, Address R, Address bW,
              Address bR, Address init0, Address init1, Address y, int64_t y_batch, int64_t y_time, Address last0,
              Address last1) {
  const nb::gil_scoped_release unlocked;
  Tape* tape = new Tape{&active(), cell, float64 ? Dtype::float64 : Dtype::float32, Block(), Block(), Problem{}};
  Problem& p = tape->problem;
  p.B = B, p.T = T, p.I = I, p.H = H, p.reverse = reverse;
  tape->row_memory = Block(rows_bytes(B, T));
  p.rows = plan_rows(static_cast<const int64_t*>(in(lengths)), B, T, tape->row_memory.data());
  set_inputs(p, x, x_batch, x_time, W, R, bW, bR, init0, init1, y, y_batch, y_time);
  p.last[0] = out(last0), p.last[1] = out(last1);
  p.threads = std::min<int64_t>(useful_threads(*tape, threads), std::max<int64_t>(B, 1));
  const Need need = tape->table->need(cell, tape->dtype, p, false);
  const Block scratch(need.scratch);
  if (training) tape->memory = Block(need.tape);
  tape->table->forward(cell, tape->dtype, p, tape->memory.data(), scratch.data(), training);
  return tape;
}

void backward(const Tape& tape, int threads, Address x, int64_t x_batch, int64_t x_time, Address W, Address R,
              Address init0, Address init1, Address y, int64_t y_batch, int64_t y_time, Address dy, int64_t dy_batch,
              int64_t dy_time, Address dlast0, Address dlast1, Address dx, int64_t dx_batch, int64_t dx_time,
              Address dW, Address dR, Address dbW, Address dbR, Address dinit0, Address dinit1) {
  const nb::gil_scoped_release unlocked;
  Problem p = tape.problem;
  set_inputs(p, x, x_batch, x_time, W, R, 0, 0, init0, init1, y, y_batch, y_time);
  p.threads = useful_threads(tape, threads);
  Gradient g{};
  g.dy = in(dy), g.dy_batch = dy_batch, g.dy_time = dy_time;
  g.dlast[0] = in(dlast0), g.dlast[1] = in(dlast1);
  g.dx = out(dx), g.dx_batch = dx_batch, g.dx_time = dx_time;
  g.dW = out(dW), g.dR = out(dR), g.dbW = out(dbW), g.dbR = out(dbR);
  g.dinit[0] = out(dinit0), g.dinit[1] = out(dinit1);
  const Block scratch(tape.table->need(tape.cell, tape.dtype, p, true).scratch);
  tape.table->backward(tape.cell, tape.dtype, p, g, tape.memory.data(), scratch.data());
}

void math(const std::string& function, bool float64, Address x, Address y, int64_t n) {
  const Function f = function == "exp" ? Function::exp : function == "tanh" ? Function::tanh : Function::sigmoid;
  active().math(f, float64 ? Dtype::float64 : Dtype::float32, in(x), out(y), n);
}

std::vector<std::string> targets(bool only_supported) {
  const Table* tables[max_targets];
  std::vector<std::string> names;
  const int n = compiled_targets(tables);
  for (int i = 0; i < n; ++i) {
    if (!only_supported || supported(*tables[i])) names.push_back(tables[i]->name);
  }
  return names;
}

void select_target(const std::string& name) {
  const Table* tables[max_targets];
  const int n = compiled_targets(tables);
  for (int i = 0; i < n; ++i) {
    if (name == tables[i]->name && supported(*tables[i])) {
      active_table.store(tables[i]);
      return;
    }
  }
  std::string list;
  for (const std::string& known : targets(true)) list += (list.empty() ? "" : ", ") + known;
  throw nb::value_error(("the instruction set '" + name + "' is not available here; choose one of " + list).c_str());
}

nb::dict cells() {
  nb::dict result;
  for (int i = 0; i < active().cell_count; ++i) {
    const CellFacts& cell = active().cells[i];
    nb::list gates, states;
    for (int k = 0; k < cell.gates; ++k) gates.append(cell.gate_names[k]);
    for (int k = 0; k < cell.states; ++k) states.append(cell.state_names[k]);
    result[cell.name] = nb::make_tuple(i, nb::tuple(gates), nb::tuple(states));
  }
  return result;
}

}  // namespace

NB_MODULE(_native, m) {
  nb::set_leak_warnings(false);  // a graph that is alive when the process ends is no mistake
  m.doc() = "The fused kernels: forward and backward of a recurrent cell over time.";
  nb::class_<Tape>(m, "Tape", "What one forward pass keeps for its backward passes; freed with its graph.");
  m.def("forward", &forward, nb::rv_policy::take_ownership, "Fold a cell over time; returns the tape.");
  m.def("backward", &backward, "The gradients of one forward pass; the tape stays as it is.");
  m.def("math", &math, "Apply exp, tanh or sigmoid of the active target to n elements.");
  m.def("cells", &cells, "The compiled cells: name to (number, gates, states).");
  m.def("targets", &targets, nb::arg("only_supported") = true, "Instruction sets, best first.");
  m.def("active", [] { return std::string(active().name); }, "The instruction set in use.");
  m.def("select", &select_target, "Use this instruction set from now on.");
  m.def("pool_bytes", &pool_bytes, "Bytes kept for the next call.");
  m.def("pool_clear", &pool_clear, "Give the kept bytes back to the system.");
}
