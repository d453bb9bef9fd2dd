// Many examples: blocks of columns (data/example_block.h), one behind the other, or a choice of them. A copy shares the
// blocks, so it costs little however many examples there are, and a view lives as long as any copy.
#pragma once

#include <cstdint>
#include <iterator>
#include <memory>
#include <vector>

#include "data/example_block.h"

namespace finetune {

class Examples {
 public:
  class Iterator;

  Examples() = default;
  /// Copies them.
  Examples(const std::vector<Example>& examples);

  std::size_t size() const { return chosen_ ? chosen_->size() : total(); }
  bool empty() const { return size() == 0; }
  ExampleView operator[](std::size_t i) const;
  ExampleView front() const { return (*this)[0]; }
  /// In order; faster than one by one.
  Iterator begin() const;
  Iterator end() const;

  /// Tokens of the longest one; 0: there is none.
  std::int64_t longest() const { return longest_; }
  /// Of all blocks, chosen or not.
  std::int32_t highest_id() const;

  /// Calls work(block) for each block, in order. Nothing has been chosen, and nothing appended whose files were
  /// changed.
  template <typename Work>
  void for_each_block(const Work& work) const {
    for (const Piece& piece : pieces_) work(*piece.block);
  }

  /// Come behind those that are there. Nothing has been chosen and no reference set, of neither. `files`: is added to
  /// their files.
  void add(std::shared_ptr<const ExampleBlock> block);
  void append(const Examples& more, std::int32_t files);
  /// These of them, in this order. At most 2^32 examples can be chosen from: throws Error (bad_input) above.
  Examples choose(std::vector<std::uint32_t> places) const;
  /// Sets ExampleView::reference of each example.
  void set_reference(const std::vector<std::vector<double>>& losses);

 private:
  struct Piece {
    std::shared_ptr<const ExampleBlock> block;
    std::size_t end = 0;     // examples up to and with this one's
    std::int32_t files = 0;  // to be added to the block's
  };
  struct References {
    std::vector<double> losses;
    std::vector<std::size_t> ends;  // of each example
  };
  std::size_t total() const { return pieces_.empty() ? 0 : pieces_.back().end; }
  std::size_t place(std::size_t i) const { return chosen_ ? (*chosen_)[i] : i; }
  std::size_t first(std::size_t piece) const { return piece == 0 ? 0 : pieces_[piece - 1].end; }
  std::size_t piece_of(std::size_t place) const;
  ExampleView view(std::size_t i, std::size_t piece) const;

  std::vector<Piece> pieces_;
  std::shared_ptr<const std::vector<std::uint32_t>> chosen_;  // null: all
  std::shared_ptr<const References> references_;
  std::int64_t longest_ = 0;
};

/// Knows the piece that it stands in.
class Examples::Iterator {
 public:
  using value_type = ExampleView;
  using reference = ExampleView;
  using difference_type = std::ptrdiff_t;
  using iterator_category = std::input_iterator_tag;

  Iterator() = default;
  Iterator(const Examples& all, std::size_t i) : all_(&all), i_(i) {}
  ExampleView operator*() const { return all_->view(i_, piece()); }
  std::int64_t length() const;
  std::uint64_t hash() const;
  std::int32_t file() const;
  std::size_t index() const { return i_; }
  Iterator& operator++() {
    ++i_;
    return *this;
  }
  Iterator operator++(int) {
    Iterator before = *this;
    ++i_;
    return before;
  }
  bool operator==(const Iterator& other) const { return i_ == other.i_; }

 private:
  std::size_t piece() const;

  const Examples* all_ = nullptr;
  std::size_t i_ = 0;
  mutable std::size_t piece_ = 0;
};

inline Examples::Iterator Examples::begin() const {
  return {*this, 0};
}
inline Examples::Iterator Examples::end() const {
  return {*this, size()};
}

}  // namespace finetune
