// The cells: constants, the step and its derivative, on named fields with the names of the Python declarations.
//
// A part is one sum the step needs: a gate whose two products add up, or one product of a gate that keeps them
// apart (GRU: n is the part W·x + bW of its candidate, hn the part R·h + bR). The parts that W feeds are adjacent,
// and so are those that R feeds; `x_gate[p]`, `h_gate[p]` tell which gate's rows feed part p, -1 for none.
// R multiplies h, but for the last `late` parts it multiplies the middle (B, H), which the parts before them give: a
// step sums those, then the late ones.
//
// point:       p (parts), s (states before the step) to s (states after) and k (what the derivative needs kept).
// point_grad:  k, s (states before the step), e (states at its end), ds (gradient of the states at its end) to
//              da (gradient of the parts) and ds (what reaches the states before directly, not through R).
//
// With late parts W and R feed all parts, every part has a kept value of the same number, and the functions are four:
// middle:      p (the other parts), s to k of these and, returned, the middle.
// point:       p (the late parts), s, k[wait] (as middle left it) to s and k of the late parts.
// late_grad:   k, ds to da of the late parts.
// point_grad:  k, s, dm (gradient of the middle), ds to da of the other parts, ds and, returned, the middle.

struct Rnn {
  static constexpr const char* name = "rnn";
  static constexpr int gates = 1, states = 1, parts = 1, late = 0, kept = 0;
  static constexpr const char* gate_names[gates] = {"a"};
  static constexpr const char* state_names[states] = {"h"};
  enum { a };
  enum { h };
  static constexpr int x_gate[parts] = {a}, h_gate[parts] = {a};
  static constexpr bool direct = false;  // h reaches h' only through R
  template <class V>
  static inline void point(const V* p, V* s, V*) {
    s[h] = tanh(p[a]);
  }
  template <class V>
  static inline void point_grad(const V*, const V*, const V* e, V* ds, V* da) {
    da[a] = ds[h] * fnma(e[h], e[h], V::set(1));
    ds[h] = V::set(0);
  }
};

struct ReluRnn {
  static constexpr const char* name = "rnn_relu";
  static constexpr int gates = 1, states = 1, parts = 1, late = 0, kept = 0;
  static constexpr const char* gate_names[gates] = {"a"};
  static constexpr const char* state_names[states] = {"h"};
  enum { a };
  enum { h };
  static constexpr int x_gate[parts] = {a}, h_gate[parts] = {a};
  static constexpr bool direct = false;
  template <class V>
  static inline void point(const V* p, V* s, V*) {
    s[h] = at_least(p[a], V::set(0));
  }
  template <class V>
  static inline void point_grad(const V*, const V*, const V* e, V* ds, V* da) {
    da[a] = where_positive(e[h], ds[h]);
    ds[h] = V::set(0);
  }
};

struct Lstm {
  static constexpr const char* name = "lstm";
  static constexpr int gates = 4, states = 2, parts = 4, late = 0, kept = 4;
  static constexpr const char* gate_names[gates] = {"i", "f", "g", "o"};
  static constexpr const char* state_names[states] = {"h", "c"};
  enum { i, f, g, o };  // parts, gates and kept values alike
  enum { h, c };
  static constexpr int x_gate[parts] = {i, f, g, o}, h_gate[parts] = {i, f, g, o};
  static constexpr bool direct = false;
  template <class V>
  static inline void point(const V* p, V* s, V* k) {
    k[i] = sigmoid(p[i]), k[f] = sigmoid(p[f]);
    k[g] = tanh(p[g]), k[o] = sigmoid(p[o]);
    s[c] = fma(k[f], s[c], k[i] * k[g]);
    s[h] = k[o] * tanh(s[c]);
  }
  template <class V>
  static inline void point_grad(const V* k, const V* s, const V* e, V* ds, V* da) {
    const V one = V::set(1), m = tanh(e[c]), dh = ds[h];
    const V dc = fma(dh * k[o], fnma(m, m, one), ds[c]);
    da[i] = dc * k[g] * fnma(k[i], k[i], k[i]);
    da[f] = dc * s[c] * fnma(k[f], k[f], k[f]);
    da[g] = dc * k[i] * fnma(k[g], k[g], one);
    da[o] = dh * m * fnma(k[o], k[o], k[o]);
    ds[c] = dc * k[f];
    ds[h] = V::set(0);
  }
};

struct Gru {
  static constexpr const char* name = "gru";
  static constexpr int gates = 3, states = 1, parts = 4, late = 0, kept = 4;
  static constexpr const char* gate_names[gates] = {"r", "z", "n"};
  static constexpr const char* state_names[states] = {"h"};
  enum { n, r, z, hn };  // parts and kept values alike
  enum { h };
  static constexpr int x_gate[parts] = {2, 0, 1, -1}, h_gate[parts] = {-1, 0, 1, 2};
  static constexpr bool direct = true;
  template <class V>
  static inline void point(const V* p, V* s, V* k) {
    k[r] = sigmoid(p[r]), k[z] = sigmoid(p[z]);
    k[hn] = p[hn];
    k[n] = tanh(fma(k[r], p[hn], p[n]));
    s[h] = fma(k[z], s[h], (V::set(1) - k[z]) * k[n]);
  }
  template <class V>
  static inline void point_grad(const V* k, const V* s, const V*, V* ds, V* da) {
    const V one = V::set(1), dh = ds[h];
    da[n] = dh * (one - k[z]) * fnma(k[n], k[n], one);
    da[r] = da[n] * k[hn] * fnma(k[r], k[r], k[r]);
    da[z] = dh * (s[h] - k[n]) * fnma(k[z], k[z], k[z]);
    da[hn] = da[n] * k[r];
    ds[h] = dh * k[z];
  }
};

struct GruBefore {
  static constexpr const char* name = "gru_before";
  static constexpr int gates = 3, states = 1, parts = 3, late = 1, kept = 3;
  static constexpr const char* gate_names[gates] = {"r", "z", "n"};
  static constexpr const char* state_names[states] = {"h"};
  enum { r, z, n };  // parts, gates and kept values alike
  enum { h };
  static constexpr int x_gate[parts] = {r, z, n}, h_gate[parts] = {r, z, n};
  static constexpr int wait = z;
  static constexpr bool direct = true;
  template <class V>
  static inline V middle(const V* p, const V* s, V* k) {
    k[r] = sigmoid(p[r]), k[z] = sigmoid(p[z]);
    return k[r] * s[h];
  }
  template <class V>
  static inline void point(const V* p, V* s, V* k) {
    k[n] = tanh(p[n]);
    s[h] = fma(k[z], s[h], (V::set(1) - k[z]) * k[n]);
  }
  template <class V>
  static inline void late_grad(const V* k, const V* ds, V* da) {
    const V one = V::set(1);
    da[n] = ds[h] * (one - k[z]) * fnma(k[n], k[n], one);
  }
  template <class V>
  static inline V point_grad(const V* k, const V* s, V dm, V* ds, V* da) {
    const V dh = ds[h];
    da[r] = dm * s[h] * fnma(k[r], k[r], k[r]);
    da[z] = dh * (s[h] - k[n]) * fnma(k[z], k[z], k[z]);
    ds[h] = fma(dh, k[z], dm * k[r]);
    return k[r] * s[h];
  }
};

// Facts derived from a cell's declaration, about its parts `from` … to-1.
template <class Cell, int from = 0, int to = Cell::parts>
struct Facts {
  static constexpr int count(const int (&gate)[Cell::parts]) {
    int n = 0;
    for (int p = from; p < to; ++p) n += gate[p] >= 0;
    return n;
  }
  static constexpr int first(const int (&gate)[Cell::parts]) {
    int p = from;
    while (gate[p] < 0) ++p;
    return p;
  }
  static constexpr int begin = from, end = to, parts = to - from;
  static constexpr int x_parts = count(Cell::x_gate), x_first = first(Cell::x_gate);
  static constexpr int h_parts = count(Cell::h_gate), h_first = first(Cell::h_gate);
  static constexpr int kept_end = to < Cell::parts ? to : Cell::kept;  // they keep the values from `begin` on
  static constexpr int unit_vectors = 4 / parts;  // vectors of units in one block of a panel
};

// What a step sums first, all parts of most cells, and what it sums then.
template <class Cell>
using Early = Facts<Cell, 0, Cell::parts - Cell::late>;
template <class Cell>
using Late = Facts<Cell, Cell::parts - Cell::late>;
