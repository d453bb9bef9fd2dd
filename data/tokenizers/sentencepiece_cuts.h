// Where text can be cut without changing what a sentencepiece model makes of it, so that words that were encoded before
// need not be encoded again. The library takes a text as one word; a place that no piece of the model lies across is
// one that byte-pair merges do not cross (see safe_cuts.h).
#pragma once

#include <string_view>
#include <vector>

namespace finetune {

/// True when a text may be cut at every space between two ASCII letters or digits, the space dropped, and each part
/// encoded for itself: the model is byte-pair encoding, changes nothing when it normalises, writes a space as "▁" and
/// puts one in front of a text, and has "▁" but no piece with another character before it. `model`: the content of a
/// .model file (sentencepiece_model.proto); unreadable ones are false.
bool cuts_at_spaces(std::string_view model);

/// Begins of the parts, in bytes: 0, and the places behind the spaces that cuts_at_spaces speaks of.
std::vector<std::size_t> part_begins(std::string_view text);

}  // namespace finetune
