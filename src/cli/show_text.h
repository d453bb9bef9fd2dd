// Texts of rows that grow side by side, shown in the order of the rows.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>

namespace finetune {

/// Each row is shown once those before it are done.
class RowPrinter {
 public:
  /// `grows`: what is known of the row in turn is shown at once, for somebody who looks on; else whole rows are.
  RowPrinter(bool grows, std::function<void(const std::string& text)> put) : grows_(grows), put_(std::move(put)) {}
  /// `text`: what is known of the row, which only ever grows; `done`: all of it.
  void on_row(std::size_t row, const std::string& text, bool done);
  /// There will be no more: the row in turn is left where it is, and what is done behind it is shown.
  void end();

 private:
  struct Known {
    std::string text;
    bool done = false;
  };

  bool grows_;
  std::function<void(const std::string&)> put_;
  std::map<std::size_t, Known> known_;  // of rows that are not shown whole
  std::size_t row_ = 0;                 // in turn
  std::size_t shown_ = 0;               // bytes of it
};

}  // namespace finetune
