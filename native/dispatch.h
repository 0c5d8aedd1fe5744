// Which targets are compiled in, which of them this machine can run, and which one is active.
#pragma once

#include "api.h"

namespace rekur {

constexpr int max_targets = 4;

// Compiled targets in order of preference; the number of them is returned.
int compiled_targets(const Table* (&tables)[max_targets]);

// Whether CPU and operating system both carry the target.
bool supported(const Table& table);

// The first supported target.
const Table& best_target();

}  // namespace rekur
