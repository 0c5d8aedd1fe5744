// The binding: addresses and sizes from Python into a Problem, and back. Python checks shapes, dtypes and devices
// (kernels/checks.py, kernels/extension.py); only the values of lengths are checked here.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <stdexcept>
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

// What a backward pass must know of its forward pass, at the head of the tape. The tape of the kernel follows, then
// the order of the rows. There are no addresses in it, so that the buffer may be copied; backward only reads it.
struct alignas(64) Head {
  int target, cell;
  Dtype dtype;
  bool reverse;
  int64_t B, T, I, H;
  size_t rows;  // where they stand
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

// Bytes of the kernel's part of a tape for each row and for each of its steps, with the units padded to 64 bytes: then
// they are the same for every target, and a graph of operators may be compiled with one and run with another.
std::pair<size_t, size_t> row_and_step(const Table& table, int cell, Dtype dtype, int64_t H, const void* resets) {
  const int64_t units = dtype == Dtype::float64 ? 8 : 16;
  Problem p{};
  p.B = 1, p.I = 1, p.H = (H + units - 1) / units * units, p.resets = static_cast<const uint8_t*>(resets);
  const size_t row = table.need(cell, dtype, p, false).tape;
  p.T = 1;
  return {row, table.need(cell, dtype, p, false).tape - row};
}

// Bytes of a tape before the order of the rows: the head and the kernel's part.
size_t bytes_before_rows(const Table& table, int cell, Dtype dtype, int64_t B, int64_t T, int64_t H,
                         const void* resets) {
  const auto [row, step] = row_and_step(table, cell, dtype, H, resets);
  return sizeof(Head) + size_t(B) * (row + size_t(T) * step);
}

nb::tuple tape_sizes(int cell, int dtype, int64_t H, bool resets) {
  const auto [row, step] = row_and_step(active(), cell, Dtype(dtype), H, resets ? &resets : nullptr);
  const size_t none = rows_bytes(0, 0);
  return nb::make_tuple(sizeof(Head) + none, rows_bytes(0, 1) - none, row + rows_bytes(1, 0) - none, step);
}

int number_of(const Table& table) {
  const Table* tables[max_targets];
  return int(std::find(tables, tables + compiled_targets(tables), &table) - tables);
}

const void* in(Address a) { return reinterpret_cast<const void*>(a); }
void* out(Address a) { return reinterpret_cast<void*>(a); }

int useful_threads(const Table& table, int cell, const Problem& p, int threads) {
  const double work = double(p.rows.first[p.T]) * double(p.I + p.H) * double(p.H * table.cells[cell].gates);
  return std::max(1, std::min(threads, int(std::min(work / work_per_thread, 1e4))));
}

// Returns the tape in training, else none.
Tape* forward(int cell, int dtype_number, int64_t B, int64_t T, int64_t I, int64_t H, bool reverse, Address lengths,
              Address resets, int64_t resets_batch, int64_t resets_time, int threads, bool training, Address x,
              int64_t x_batch, int64_t x_time, Address W, Address R, Address bW, Address bR, Address init0,
              Address init1, Address y, int64_t y_batch, int64_t y_time, Address last0, Address last1) {
  const nb::gil_scoped_release unlocked;
  const int64_t* length = static_cast<const int64_t*>(in(lengths));
  for (int64_t b = 0; length && b < B; ++b) {
    if (length[b] < 0 || length[b] > T) {
      throw nb::value_error(("lengths must lie in 0 … " + std::to_string(T)).c_str());
    }
  }
  const Table& table = active();
  const Dtype dtype = Dtype(dtype_number);
  Problem p{};
  p.B = B, p.T = T, p.I = I, p.H = H, p.reverse = reverse;
  p.resets = static_cast<const uint8_t*>(in(resets)), p.resets_batch = resets_batch, p.resets_time = resets_time;
  const size_t rows = training ? bytes_before_rows(table, cell, dtype, B, T, H, p.resets) : 0;
  const size_t bytes = rows + rows_bytes(B, T);
  Block memory(bytes);
  p.rows = plan_rows(length, B, T, memory.data() + rows);
  p.x = in(x), p.x_batch = x_batch, p.x_time = x_time;
  p.W = in(W), p.R = in(R), p.bW = in(bW), p.bR = in(bR);
  p.init[0] = in(init0), p.init[1] = in(init1);
  p.y = out(y), p.y_batch = y_batch, p.y_time = y_time;
  p.last[0] = out(last0), p.last[1] = out(last1);
  p.threads = int(std::min<int64_t>(useful_threads(table, cell, p, threads), std::max<int64_t>(B, 1)));
  const Need need = table.need(cell, dtype, p, false);
  const Block scratch(need.scratch);
  if (!training) {
    table.forward(cell, dtype, p, nullptr, scratch.data());
    return nullptr;
  }
  if (sizeof(Head) + need.tape > rows) throw std::logic_error("the tape is not linear in B and T");
  new (memory.data()) Head{number_of(table), cell, dtype, reverse, B, T, I, H, rows};
  table.forward(cell, dtype, p, memory.data() + sizeof(Head), scratch.data());
  return new Tape{std::move(memory), bytes};
}

// The head of the tape of a forward pass of this cell and shape; a tape that comes from anywhere else is refused.
const Head& head_of(const char* tape, size_t bytes, int cell, Dtype dtype, int64_t B, int64_t T, int64_t I, int64_t H,
                    const void* resets) {
  const Head& head = *reinterpret_cast<const Head*>(tape);
  const Table* tables[max_targets];
  const int count = compiled_targets(tables);
  const size_t rows = bytes_before_rows(active(), cell, dtype, B, T, H, resets);
  const bool same = bytes == rows + rows_bytes(B, T) && head.rows == rows && head.cell == cell && head.dtype == dtype &&
                    head.B == B && head.T == T && head.I == I && head.H == H;
  if (!same || head.target < 0 || head.target >= count || !supported(*tables[head.target]) ||
      !valid(rows_in(tape + head.rows, B, T), B, T)) {
    throw nb::value_error("the tape is not that of a forward pass of this cell, type and shape on this machine");
  }
  return head;
}

void backward(Address tape, size_t bytes, int cell, int dtype, int64_t B, int64_t T, int64_t I, int64_t H,
              Address resets, int64_t resets_batch, int64_t resets_time, int threads, Address x, int64_t x_batch,
              int64_t x_time, Address W, Address R, Address dy, int64_t dy_batch, int64_t dy_time,
              Address dlast0, Address dlast1, Address dx, int64_t dx_batch, int64_t dx_time, Address dW, Address dR,
              Address dbW, Address dbR, Address dinit0, Address dinit1) {
  const nb::gil_scoped_release unlocked;
  const char* base = static_cast<const char*>(in(tape));
  const Head& head = head_of(base, bytes, cell, Dtype(dtype), B, T, I, H, in(resets));
  const Table* tables[max_targets];
  compiled_targets(tables);
  const Table& table = *tables[head.target];
  Problem p{};
  p.B = head.B, p.T = head.T, p.I = head.I, p.H = head.H, p.reverse = head.reverse;
  p.resets = static_cast<const uint8_t*>(in(resets)), p.resets_batch = resets_batch, p.resets_time = resets_time;
  p.rows = rows_in(base + head.rows, p.B, p.T);
  p.x = in(x), p.x_batch = x_batch, p.x_time = x_time;
  p.W = in(W), p.R = in(R);
  p.threads = useful_threads(table, head.cell, p, threads);
  Gradient g{};
  g.dy = in(dy), g.dy_batch = dy_batch, g.dy_time = dy_time;
  g.dlast[0] = in(dlast0), g.dlast[1] = in(dlast1);
  g.dx = out(dx), g.dx_batch = dx_batch, g.dx_time = dx_time;
  g.dW = out(dW), g.dR = out(dR), g.dbW = out(dbW), g.dbR = out(dbR);
  g.dinit[0] = out(dinit0), g.dinit[1] = out(dinit1);
  const Block scratch(table.need(head.cell, head.dtype, p, true).scratch);
  table.backward(head.cell, head.dtype, p, g, base + sizeof(Head), scratch.data());
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
  nb::class_<Tape>(m, "Tape", "What a forward pass keeps for its backward passes.", nb::type_slots(tape_slots));
  m.def("forward", &forward, nb::rv_policy::take_ownership, "Fold a cell over time; the tape in training, else none.");
  m.def("backward", &backward, "The gradients of one forward pass; the tape stays as it is.");
  m.def("tape_sizes", &tape_sizes,
        "Numbers a, b, c, d: the tape of B rows and T steps has a + b·T + (c + d·T)·B bytes.");
  m.def("math", &math, "Apply exp, tanh or sigmoid of the active target to n elements.");
  m.def("cells", &cells, "The compiled cells: name to (number, gates, states).");
  m.def("targets", &targets, nb::arg("only_supported") = true, "Instruction sets, best first.");
  m.def("active", [] { return std::string(active().name); }, "The instruction set in use.");
  m.def("select", &select_target, "Use this instruction set from now on.");
  m.def("pool_bytes", &pool_bytes, "Bytes kept for the next call.");
  m.def("pool_clear", &pool_clear, "Give the kept bytes back to the system.");
}
