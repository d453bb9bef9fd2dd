#include "cli/show_text.h"

namespace finetune {

void RowPrinter::on_row(std::size_t row, const std::string& text, bool done) {
  known_[row] = {text, done};
  for (auto next = known_.find(row_); next != known_.end(); next = known_.find(row_)) {
    const Known& known = next->second;
    if ((known.done || grows_) && known.text.size() > shown_) {
      put_(known.text.substr(shown_));
      shown_ = known.text.size();
    }
    if (!known.done) return;
    known_.erase(next);
    ++row_;
    shown_ = 0;
  }
}

void RowPrinter::end() {
  if (shown_ > 0) put_("\n");
  shown_ = 0;
  for (const auto& [row, known] : known_) {
    if (known.done) put_(known.text);
  }
  known_.clear();
}

}  // namespace finetune
