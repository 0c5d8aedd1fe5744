// Memory that outlives a call: blocks are owned by the graph that needs them and come back here when it dies.
//
// Fresh pages cost more than the work done on them, so freed blocks are kept for the next call, up to a bound.
#pragma once

#include <cstddef>

namespace rekur {

// One piece of memory, 64-byte aligned, given back on destruction. Never shared between two owners.
class Block {
 public:
  Block() = default;
  explicit Block(size_t bytes);
  Block(Block&& other) noexcept : data_(other.data_), size_(other.size_) { other.data_ = nullptr, other.size_ = 0; }
  Block& operator=(Block&& other) noexcept;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block();
  char* data() const { return data_; }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
};

size_t pool_bytes();  // kept for reuse at this moment
void pool_clear();    // give all of it back to the system

}  // namespace rekur
