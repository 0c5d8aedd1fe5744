// Every instruction set this machine runs against the portable one and against the C library, without Python: for
// machines, compilers and emulators on which no torch can be had. `make targets` builds and runs it.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "dispatch.h"
#include "pool.h"
#include "rows.h"

using namespace rekur;

namespace {

constexpr double bound = 4;  // results differ by at most bound · (T + 1) · eps · max(1, largest number)

struct Case {
  int64_t B, T, I, H;
};

constexpr Case cases[] = {{1, 1, 1, 1},   {2, 3, 1, 3}, {2, 3, 2, 15}, {3, 5, 2, 16},  {7, 4, 5, 17},
                          {5, 9, 17, 33}, {4, 0, 2, 5}, {0, 3, 2, 5},  {33, 30, 3, 20}, {70, 9, 3, 20}, {6, 7, 9, 64}};

// The types of one Dtype: T computes, S stores x, y and their gradients.
struct Float {
  using T = float;
  using S = float;
  static constexpr Dtype dtype = Dtype::float32;
  static constexpr const char* name = "float";
  static constexpr double eps = 1.0 / (1 << 23);
};

struct Double {
  using T = double;
  using S = double;
  static constexpr Dtype dtype = Dtype::float64;
  static constexpr const char* name = "double";
  static constexpr double eps = 1.0 / (int64_t(1) << 52);
};

struct Half {
  using T = float;
  using S = uint16_t;  // the upper half of a float
  static constexpr Dtype dtype = Dtype::bfloat16;
  static constexpr const char* name = "bfloat16";
  static constexpr double eps = 1.0 / (1 << 7);
};

template <class T>
double value(T a) {
  return double(a);
}

template <>
double value(uint16_t a) {
  const uint32_t bits = uint32_t(a) << 16;
  float wide;
  memcpy(&wide, &bits, sizeof wide);
  return double(wide);
}

template <class S>
S stored(double a) {
  return S(a);
}

template <>
uint16_t stored(double a) {
  const float wide = float(a);
  uint32_t bits;
  memcpy(&bits, &wide, sizeof bits);
  return uint16_t(bits >> 16);
}

// The same numbers on every machine, in -size … size.
class Numbers {
 public:
  template <class S>
  std::vector<S> draw(int64_t n, double size = 1) {
    std::vector<S> values;
    for (int64_t i = 0; i < n; ++i) {
      state_ = state_ * 6364136223846793005u + 1442695040888963407u;
      values.push_back(stored<S>(size * double(int64_t(state_ >> 32) - (int64_t(1) << 31)) / double(int64_t(1) << 31)));
    }
    return values;
  }

 private:
  uint64_t state_ = 1;
};

template <class S>
std::vector<double> values(const std::vector<S>& from) {
  std::vector<double> to;
  for (const S& a : from) to.push_back(value(a));
  return to;
}

enum Kind { ragged = 1, reverse = 2, reset = 4, kinds = 8 };  // what a problem has beyond its sizes

// Outputs, last states and all gradients of one problem; then outputs and last states without a tape.
template <class Type>
std::vector<std::vector<double>> solve(const Table& table, int cell, const Case& c, int kind, int threads) {
  using T = typename Type::T;
  using S = typename Type::S;
  const int64_t states = table.cells[cell].states, rows = table.cells[cell].gates * c.H, BTH = c.B * c.T * c.H;
  const int64_t BTI = c.B * c.T * c.I, BH = c.B * c.H;
  Numbers numbers;
  const auto x = numbers.draw<S>(BTI), dy = numbers.draw<S>(BTH);
  const auto W = numbers.draw<T>(rows * c.I), R = numbers.draw<T>(rows * c.H, 1 / std::sqrt(double(c.H)));
  const auto bW = numbers.draw<T>(rows), bR = numbers.draw<T>(rows);
  const auto init = numbers.draw<T>(states * BH), dlast = numbers.draw<T>(states * BH);
  std::vector<S> y(BTH), dx(BTI), y_again(BTH);
  std::vector<T> last(states * BH), dW(W.size()), dR(R.size()), dbW(rows), dbR(rows), dinit(states * BH);
  std::vector<T> last_again(states * BH);
  std::vector<int64_t> lengths;
  for (int64_t b = 0; b < c.B; ++b) lengths.push_back((b * 17 + 2) % (c.T + 1));
  std::vector<uint8_t> resets;
  for (int64_t i = 0; i < c.B * c.T; ++i) resets.push_back(i % 5 == 3);

  const Block row_memory(rows_bytes(c.B, c.T));
  Problem p{};
  p.B = c.B, p.T = c.T, p.I = c.I, p.H = c.H, p.reverse = kind & reverse, p.threads = threads;
  p.x = x.data(), p.x_batch = c.T * c.I, p.x_time = c.I;
  p.W = W.data(), p.R = R.data(), p.bW = bW.data(), p.bR = bR.data();
  p.y = y.data(), p.y_batch = c.T * c.H, p.y_time = c.H;
  if (kind & reset) p.resets = resets.data(), p.resets_batch = c.T, p.resets_time = 1;
  p.rows = plan_rows(kind & ragged ? lengths.data() : nullptr, c.B, c.T, row_memory.data());
  Gradient g{};
  g.dy = dy.data(), g.dy_batch = c.T * c.H, g.dy_time = c.H;
  g.dx = dx.data(), g.dx_batch = c.T * c.I, g.dx_time = c.I;
  g.dW = dW.data(), g.dR = dR.data(), g.dbW = dbW.data(), g.dbR = dbR.data();
  for (int64_t i = 0; i < states; ++i) {
    p.init[i] = init.data() + i * BH, p.last[i] = last.data() + i * BH;
    g.dlast[i] = dlast.data() + i * BH, g.dinit[i] = dinit.data() + i * BH;
  }
  const Need ahead = table.need(cell, Type::dtype, p, false), back = table.need(cell, Type::dtype, p, true);
  const Block tape(ahead.tape), scratch(ahead.scratch), back_scratch(back.scratch);
  table.forward(cell, Type::dtype, p, tape.data(), scratch.data());
  table.backward(cell, Type::dtype, p, g, tape.data(), back_scratch.data());
  p.y = y_again.data();
  for (int64_t i = 0; i < states; ++i) p.last[i] = last_again.data() + i * BH;
  table.forward(cell, Type::dtype, p, nullptr, scratch.data());
  return {values(y),  values(last), values(dx),    values(dW),      values(dR),
          values(dbW), values(dbR), values(dinit), values(y_again), values(last_again)};
}

// The largest difference in units of what is allowed; infinite if a number is missing.
double difference(const std::vector<std::vector<double>>& got, const std::vector<std::vector<double>>& want,
                  int64_t steps, double eps) {
  double worst = 0;
  for (size_t k = 0; k < want.size(); ++k) {
    double scale = 1, off = 0;
    for (size_t i = 0; i < want[k].size(); ++i) {
      scale = std::fmax(scale, std::fabs(want[k][i]));
      const double d = std::fabs(got[k][i] - want[k][i]);
      off = d <= off ? off : d == d ? d : INFINITY;
    }
    worst = std::fmax(worst, off / (bound * double(steps + 1) * eps * scale));
  }
  return worst;
}

// All cells, cases and kinds of one dtype.
template <class Type>
bool check_cells(const Table& table, const Table& portable) {
  double worst = 0;
  bool same = true;
  for (int cell = 0; cell < table.cell_count; ++cell) {
    for (const Case& c : cases) {
      for (int kind = 0; kind < kinds; ++kind) {
        const auto got = solve<Type>(table, cell, c, kind, 1);
        worst = std::fmax(worst, difference(got, solve<Type>(portable, cell, c, kind, 1), c.T, Type::eps));
        same = same && got == solve<Type>(table, cell, c, kind, 3);
      }
    }
  }
  const bool good = worst <= 1 && same;
  std::printf("%-10s %-8s  cells: %3.0f %% of the bound beside %s, %s  %s\n", table.name, Type::name, 100 * worst,
              portable.name, same ? "same bits for 3 threads" : "OTHER BITS FOR 3 THREADS", good ? "good" : "BAD");
  return good;
}

// NaN passes through, infinities and zero give the exact ends.
template <class T>
bool ends(const Table& table, Dtype dtype, Function function, T low, T middle, T high) {
  const T x[] = {T(NAN), T(-INFINITY), 0, T(INFINITY)};
  T y[4];
  table.math(function, dtype, x, y, 4);
  return y[0] != y[0] && y[1] == low && y[2] == middle && y[3] == high;
}

// The largest error of one function over -20 … 20 in units of the last place, against long double.
template <class T>
double ulp(const Table& table, Dtype dtype, Function function) {
  std::vector<T> x, y;
  for (int i = -4000; i <= 4000; ++i) x.push_back(T(i) / T(199.97));
  y.resize(x.size());
  table.math(function, dtype, x.data(), y.data(), int64_t(x.size()));
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const long double z = x[i], e = std::exp(function == Function::exp ? z : -z);
    const long double want = function == Function::exp ? e : function == Function::tanh ? std::tanh(z) : 1 / (1 + e);
    const T near = std::fabs(T(want));
    const double unit = double(std::nextafter(near, T(INFINITY)) - near);
    worst = std::fmax(worst, double(std::fabs((long double)y[i] - want)) / unit);
  }
  return worst;
}

template <class Type>
bool check_functions(const Table& table) {
  using T = typename Type::T;
  const Dtype dtype = Type::dtype;
  const bool exact = ends<T>(table, dtype, Function::exp, 0, 1, T(INFINITY)) &&
                     ends<T>(table, dtype, Function::tanh, -1, 0, 1) &&
                     ends<T>(table, dtype, Function::sigmoid, 0, T(0.5), 1);
  const double e = ulp<T>(table, dtype, Function::exp), t = ulp<T>(table, dtype, Function::tanh);
  const double s = ulp<T>(table, dtype, Function::sigmoid);
  const bool good = exact && e <= 2.5 && t <= 3 && s <= 4;
  std::printf("%-10s %-8s  exp %.2f, tanh %.2f, sigmoid %.2f ulp, %s  %s\n", table.name, Type::name, e, t, s,
              exact ? "exact ends" : "WRONG ENDS", good ? "good" : "BAD");
  return good;
}

}  // namespace

int main() {
  const Table* tables[max_targets];
  const int n = compiled_targets(tables);
  bool good = true;
  for (int i = 0; i < n; ++i) {
    const Table &table = *tables[i], &portable = *tables[n - 1];
    if (!supported(table)) {
      std::printf("%-10s this machine does not run it\n", table.name);
      continue;
    }
    good = check_cells<Float>(table, portable) && check_functions<Float>(table) && good;
    good = check_cells<Double>(table, portable) && check_functions<Double>(table) && good;
    good = check_cells<Half>(table, portable) && good;
  }
  return good ? 0 : 1;
}
