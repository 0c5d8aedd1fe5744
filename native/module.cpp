// The binding: addresses and sizes from Python into a Problem, and back. All checks stand in kernels/native.py.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dispatch.h"
#include "pool.h"
#include "rows.h"

namespace nb = nanobind;
using namespace rekur;

namespace {

using Address = uintptr_t;  // of a tensor's first element; 0 for none

constexpr double work_per_thread = 4e6;  // multiply-adds (about 0.1 ms) that are worth waking a thread for

std::atomic<const Table*> active_table{nullptr};

const Table& active() {
  const Table* table = active_table.load();
  if (!table) active_table.store(table = &best_target());
  return *table;
}

// What one forward pass was asked and how its rows were ordered; backward asks the same.
struct Plan {
  const Table* table;
  int cell;
  Dtype dtype;
  Block row_memory;
  Problem problem;  // its pointers to tensors are set anew by every pass
};

// The tape of one graph. Python wraps it in a tensor by the buffer protocol, so that autograd frees it with the other
// saved tensors; then the block is back in the pool. Only read once forward has returned.
struct Tape {
  Block block;
  size_t bytes;
};

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  const Tape& tape = *nb::inst_ptr<Tape>(self);
  return PyBuffer_FillInfo(view, self, tape.block.data(), Py_ssize_t(tape.bytes), 0, flags);
}

PyType_Slot tape_slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)}, {0, nullptr}};

const void* in(Address a) { return reinterpret_cast<const void*>(a); }
void* out(Address a) { return reinterpret_cast<void*>(a); }

int useful_threads(const Plan& plan, int threads) {
  const Problem& p = plan.problem;
  const double work = double(p.rows.first[p.T]) * double(p.I + p.H) * double(p.H * plan.table->cells[plan.cell].gates);
  return std::max(1, std::min(threads, int(std::min(work / work_per_thread, 1e4))));
}

// Returns the plan and, in training, the tape; else two nones.
std::pair<Plan*, Tape*> forward(int cell, bool float64, int64_t B, int64_t T, int64_t I, int64_t H, bool reverse,
                                Address lengths, int threads, bool training, Address x, int64_t x_batch,
                                int64_t x_time, Address W, Address R, Address bW, Address bR, Address init0,
                                Address init1, Address y, int64_t y_batch, int64_t y_time, Address last0,
                                Address last1) {
  const nb::gil_scoped_release unlocked;
  auto plan = std::make_unique<Plan>(
      Plan{&active(), cell, float64 ? Dtype::float64 : Dtype::float32, Block(rows_bytes(B, T)), Problem{}});
  Problem& p = plan->problem;
  p.B = B, p.T = T, p.I = I, p.H = H, p.reverse = reverse;
  p.rows = plan_rows(static_cast<const int64_t*>(in(lengths)), B, T, plan->row_memory.data());
  p.x = in(x), p.x_batch = x_batch, p.x_time = x_time;
  p.W = in(W), p.R = in(R), p.bW = in(bW), p.bR = in(bR);
  p.init[0] = in(init0), p.init[1] = in(init1);
  p.y = out(y), p.y_batch = y_batch, p.y_time = y_time;
  p.last[0] = out(last0), p.last[1] = out(last1);
  p.threads = int(std::min<int64_t>(useful_threads(*plan, threads), std::max<int64_t>(B, 1)));
  const Need need = plan->table->need(cell, plan->dtype, p, false);
  const Block scratch(need.scratch);
  if (!training) {
    plan->table->forward(cell, plan->dtype, p, nullptr, scratch.data(), false);
    return {nullptr, nullptr};
  }
  const size_t bytes = std::max<size_t>(need.tape, 1);  // a tensor cannot be made of nothing
  auto tape = std::make_unique<Tape>(Tape{Block(bytes), bytes});
  plan->table->forward(cell, plan->dtype, p, tape->block.data(), scratch.data(), true);
  return {plan.release(), tape.release()};
}

void backward(const Plan& plan, Address tape, int threads, Address x, int64_t x_batch, int64_t x_time, Address W,
              Address R, Address dy, int64_t dy_batch, int64_t dy_time, Address dlast0, Address dlast1, Address dx,
              int64_t dx_batch, int64_t dx_time, Address dW, Address dR, Address dbW, Address dbR, Address dinit0,
              Address dinit1) {
  const nb::gil_scoped_release unlocked;
  Problem p = plan.problem;
  p.x = in(x), p.x_batch = x_batch, p.x_time = x_time;
  p.W = in(W), p.R = in(R);
  p.threads = useful_threads(plan, threads);
  Gradient g{};
  g.dy = in(dy), g.dy_batch = dy_batch, g.dy_time = dy_time;
  g.dlast[0] = in(dlast0), g.dlast[1] = in(dlast1);
  g.dx = out(dx), g.dx_batch = dx_batch, g.dx_time = dx_time;
  g.dW = out(dW), g.dR = out(dR), g.dbW = out(dbW), g.dbR = out(dbR);
  g.dinit[0] = out(dinit0), g.dinit[1] = out(dinit1);
  const Block scratch(plan.table->need(plan.cell, plan.dtype, p, true).scratch);
  plan.table->backward(plan.cell, plan.dtype, p, g, in(tape), scratch.data());
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
  nb::class_<Plan>(m, "Plan", "What one forward pass was asked.");
  nb::class_<Tape>(m, "Tape", "What it keeps for its backward passes: a buffer.", nb::type_slots(tape_slots));
  m.def("forward", &forward, nb::rv_policy::take_ownership, "Fold a cell over time: plan and tape, or two nones.");
  m.def("backward", &backward, "The gradients of one forward pass; the tape stays as it is.");
  m.def("math", &math, "Apply exp, tanh or sigmoid of the active target to n elements.");
  m.def("cells", &cells, "The compiled cells: name to (number, gates, states).");
  m.def("targets", &targets, nb::arg("only_supported") = true, "Instruction sets, best first.");
  m.def("active", [] { return std::string(active().name); }, "The instruction set in use.");
  m.def("select", &select_target, "Use this instruction set from now on.");
  m.def("pool_bytes", &pool_bytes, "Bytes kept for the next call.");
  m.def("pool_clear", &pool_clear, "Give the kept bytes back to the system.");
}
