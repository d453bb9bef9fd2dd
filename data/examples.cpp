#include "data/examples.h"

#include <algorithm>
#include <limits>
#include <span>
#include <utility>

#include "core/error.h"

namespace finetune {

Examples::Examples(const std::vector<Example>& examples) {
  for (std::size_t begin = 0, end = 0; begin < examples.size(); begin = end) {
    while (end < examples.size() && examples[end].file == examples[begin].file) ++end;
    add(make_block(std::span(examples).subspan(begin, end - begin)));
  }
}

ExampleView Examples::operator[](std::size_t i) const {
  return view(i, piece_of(place(i)));
}

std::int32_t Examples::highest_id() const {
  std::int32_t highest = -1;
  for (const Piece& piece : pieces_) highest = std::max(highest, piece.block->highest_id);
  return highest;
}

void Examples::add(std::shared_ptr<const ExampleBlock> block) {
  if (block->size() == 0) return;
  longest_ = std::max(longest_, block->longest);
  const std::size_t end = total() + block->size();
  pieces_.push_back({.block = std::move(block), .end = end});
}

void Examples::append(const Examples& more, std::int32_t files) {
  for (const Piece& piece : more.pieces_) {
    add(piece.block);
    pieces_.back().files = piece.files + files;
  }
}

Examples Examples::choose(std::vector<std::uint32_t> places) const {
  if (total() > std::numeric_limits<std::uint32_t>::max())
    throw bad_input("", "more than 4,294,967,295 examples: nothing can be held out or left out of so many");
  Examples some = *this;
  if (chosen_)
    for (std::uint32_t& one : places) one = (*chosen_)[one];
  some.chosen_ = std::make_shared<const std::vector<std::uint32_t>>(std::move(places));
  some.references_ = nullptr;
  some.longest_ = 0;
  for (auto at = some.begin(); at != some.end(); ++at) some.longest_ = std::max(some.longest_, at.length());
  return some;
}

void Examples::set_reference(const std::vector<std::vector<double>>& losses) {
  auto all = std::make_shared<References>();
  for (const std::vector<double>& one : losses) {
    all->losses.insert(all->losses.end(), one.begin(), one.end());
    all->ends.push_back(all->losses.size());
  }
  references_ = std::move(all);
}

std::size_t Examples::piece_of(std::size_t place) const {
  const auto found = std::ranges::upper_bound(pieces_, place, {}, &Piece::end);
  return static_cast<std::size_t>(found - pieces_.begin());
}

ExampleView Examples::view(std::size_t i, std::size_t piece) const {
  ExampleView view = (*pieces_[piece].block)[place(i) - first(piece)];
  view.file += pieces_[piece].files;
  if (!references_) return view;
  const std::size_t begin = i == 0 ? 0 : references_->ends[i - 1];
  view.reference = std::span(references_->losses).subspan(begin, references_->ends[i] - begin);
  return view;
}

std::size_t Examples::Iterator::piece() const {
  const std::size_t place = all_->place(i_);
  const auto holds = [&](std::size_t piece) { return place >= all_->first(piece) && place < all_->pieces_[piece].end; };
  if (!holds(piece_)) piece_ = all_->piece_of(place);
  return piece_;
}

std::int64_t Examples::Iterator::length() const {
  const std::size_t at = piece();
  return all_->pieces_[at].block->length(all_->place(i_) - all_->first(at));
}

std::uint64_t Examples::Iterator::hash() const {
  const std::size_t at = piece();
  return all_->pieces_[at].block->hashes[all_->place(i_) - all_->first(at)];
}

std::int32_t Examples::Iterator::file() const {
  const Piece& at = all_->pieces_[piece()];
  return at.block->file + at.files;
}

}  // namespace finetune
