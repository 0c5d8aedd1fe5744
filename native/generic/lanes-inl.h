// Lanes: a fixed division of the rows. Each lane sums its own gradients of the weights, in memory that no other worker
// touches: what another core has written comes slowly, and many times more slowly from another part of the chip.

struct Lanes {
  static constexpr int64_t most = 4, fewest_rows = 16;  // lanes at most, rows of a lane at least
  static constexpr size_t most_bytes = 16 << 20;        // of all their sums
  int64_t count, T;
  int64_t start[most + 1];  // the first row of each lane, in walk order
  int64_t* first;           // (count, T + 1): running sums of the rows of a lane that run at each step

  Lanes(const Problem& p, size_t sum_bytes, Carver& carver) : count(1), T(p.T) {
    while (count < most && p.B >= 2 * count * fewest_rows && 2 * size_t(count) * sum_bytes <= most_bytes) count *= 2;
    for (int64_t lane = 0; lane <= count; ++lane) start[lane] = slice_start(p, 0, p.B, int(lane), int(count));
    first = carver.take<int64_t>(count * (T + 1));
    for (int64_t lane = 0; first && lane < count; ++lane) {
      int64_t* sum = first + lane * (T + 1);
      sum[0] = 0;
      for (int64_t s = 0; s < T; ++s) sum[s + 1] = sum[s] + running(p, s, start[lane], start[lane + 1]);
    }
  }

  // Of the rows r0 … r1-1 how many run at step s: the first ones.
  static int64_t running(const Problem& p, int64_t s, int64_t r0, int64_t r1) {
    const int64_t all = p.rows.first[s + 1] - p.rows.first[s];
    return all < r0 ? 0 : all < r1 ? all - r0 : r1 - r0;
  }

  // Rows of a lane in the steps s0 … s1-1.
  int64_t rows(int64_t lane, int64_t s0, int64_t s1) const {
    return first[lane * (T + 1) + s1] - first[lane * (T + 1) + s0];
  }

  // Rows of the lane with most.
  int64_t widest() const {
    int64_t most_rows = 0;
    for (int64_t lane = 0; lane < count; ++lane) {
      if (start[lane + 1] - start[lane] > most_rows) most_rows = start[lane + 1] - start[lane];
    }
    return most_rows;
  }

  // The first step of the chunk that ends before s1: as many steps as no lane has more than `most_rows` of, at least one.
  int64_t chunk_start(int64_t s1, int64_t most_rows) const {
    for (int64_t s0 = s1 - 1; s0 > 0; --s0) {
      for (int64_t lane = 0; lane < count; ++lane) {
        if (rows(lane, s0 - 1, s1) > most_rows) return s0;
      }
    }
    return 0;
  }
};

// A worker's part: whole lanes if there are enough of them, else it shares one lane with others.
struct Duty {
  int64_t lane, end;    // lanes lane … end-1
  int member, members;  // of those who share them
  int64_t first[Lanes::most], last[Lanes::most];  // the rows of a lane that are this worker's: first … last-1

  Duty(const Problem& p, const Lanes& lanes, const Team& team) : member(0), members(1) {
    const int64_t n = lanes.count, size = team.size;
    if (size <= n) {
      lane = share(n, team.rank, team.size), end = share(n, team.rank + 1, team.size);
    } else {
      lane = team.rank * n / size, end = lane + 1;
      const int64_t begin = (lane * size + n - 1) / n, next = (end * size + n - 1) / n;
      member = int(team.rank - begin), members = int(next - begin);
    }
    for (int64_t i = lane; i < end; ++i) {
      first[i] = slice_start(p, lanes.start[i], lanes.start[i + 1], member, members);
      last[i] = slice_start(p, lanes.start[i], lanes.start[i + 1], member + 1, members);
    }
  }
};
