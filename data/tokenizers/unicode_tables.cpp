#include "data/tokenizers/unicode_tables.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

namespace finetune {
namespace {

struct CodeRange {
  std::uint32_t first, last;
};

// Marks of Unicode 10 to 15, and characters of Unicode 10 to 15 with a decomposition; in order.
constexpr std::array kNewer{
    CodeRange{0x7FD, 0x7FD},     CodeRange{0x898, 0x89F},     CodeRange{0x8CA, 0x8D3},     CodeRange{0x9FE, 0x9FE},
    CodeRange{0xAFA, 0xAFF},     CodeRange{0xB55, 0xB55},     CodeRange{0xC04, 0xC04},     CodeRange{0xC3C, 0xC3C},
    CodeRange{0xCF3, 0xCF3},     CodeRange{0xD00, 0xD00},     CodeRange{0xD3B, 0xD3C},     CodeRange{0xD81, 0xD81},
    CodeRange{0xEBA, 0xEBA},     CodeRange{0xECE, 0xECE},     CodeRange{0x1715, 0x1715},   CodeRange{0x180F, 0x180F},
    CodeRange{0x1ABF, 0x1ACE},   CodeRange{0x1CF7, 0x1CF7},   CodeRange{0x1DF6, 0x1DFA},   CodeRange{0x32FF, 0x32FF},
    CodeRange{0xA7F2, 0xA7F4},   CodeRange{0xA82C, 0xA82C},   CodeRange{0xA8FF, 0xA8FF},   CodeRange{0xAB69, 0xAB69},
    CodeRange{0x10781, 0x10785}, CodeRange{0x10787, 0x107B0}, CodeRange{0x107B2, 0x107BA}, CodeRange{0x10D24, 0x10D27},
    CodeRange{0x10EAB, 0x10EAC}, CodeRange{0x10EFD, 0x10EFF}, CodeRange{0x10F46, 0x10F50}, CodeRange{0x10F82, 0x10F85},
    CodeRange{0x11070, 0x11070}, CodeRange{0x11073, 0x11074}, CodeRange{0x110C2, 0x110C2}, CodeRange{0x11145, 0x11146},
    CodeRange{0x111C9, 0x111C9}, CodeRange{0x111CE, 0x111CF}, CodeRange{0x11241, 0x11241}, CodeRange{0x1133B, 0x1133B},
    CodeRange{0x1145E, 0x1145E}, CodeRange{0x1182C, 0x1183A}, CodeRange{0x11930, 0x11935}, CodeRange{0x11937, 0x11938},
    CodeRange{0x1193B, 0x1193E}, CodeRange{0x11940, 0x11940}, CodeRange{0x11942, 0x11943}, CodeRange{0x119D1, 0x119D7},
    CodeRange{0x119DA, 0x119E0}, CodeRange{0x119E4, 0x119E4}, CodeRange{0x11A01, 0x11A0A}, CodeRange{0x11A33, 0x11A39},
    CodeRange{0x11A3B, 0x11A3E}, CodeRange{0x11A47, 0x11A47}, CodeRange{0x11A51, 0x11A5B}, CodeRange{0x11A8A, 0x11A99},
    CodeRange{0x11D31, 0x11D36}, CodeRange{0x11D3A, 0x11D3A}, CodeRange{0x11D3C, 0x11D3D}, CodeRange{0x11D3F, 0x11D45},
    CodeRange{0x11D47, 0x11D47}, CodeRange{0x11D8A, 0x11D8E}, CodeRange{0x11D90, 0x11D91}, CodeRange{0x11D93, 0x11D97},
    CodeRange{0x11EF3, 0x11EF6}, CodeRange{0x11F00, 0x11F01}, CodeRange{0x11F03, 0x11F03}, CodeRange{0x11F34, 0x11F3A},
    CodeRange{0x11F3E, 0x11F42}, CodeRange{0x13440, 0x13440}, CodeRange{0x13447, 0x13455}, CodeRange{0x16F4F, 0x16F4F},
    CodeRange{0x16F7F, 0x16F87}, CodeRange{0x16FE4, 0x16FE4}, CodeRange{0x16FF0, 0x16FF1}, CodeRange{0x1CF00, 0x1CF2D},
    CodeRange{0x1CF30, 0x1CF46}, CodeRange{0x1E030, 0x1E06D}, CodeRange{0x1E08F, 0x1E08F}, CodeRange{0x1E130, 0x1E136},
    CodeRange{0x1E2AE, 0x1E2AE}, CodeRange{0x1E2EC, 0x1E2EF}, CodeRange{0x1E4EC, 0x1E4EF}, CodeRange{0x1F16C, 0x1F16C},
    CodeRange{0x1FBF0, 0x1FBF9}};

// Marks of Unicode 9 that are letters since Unicode 12.
constexpr CodeRange kOnceMarks{0x1CF2, 0x1CF3};

// Lower case of Unicode 16 and 17: a range moves by `step`.
struct LowerCase {
  CodeRange upper;
  std::int32_t step;
};
constexpr std::array kNewLowerCase{LowerCase{{0x1C89, 0x1C89}, 1},    LowerCase{{0xA7CB, 0xA7CB}, 0x264 - 0xA7CB},
                                   LowerCase{{0xA7CC, 0xA7CC}, 1},    LowerCase{{0xA7CE, 0xA7CE}, 1},
                                   LowerCase{{0xA7D2, 0xA7D2}, 1},    LowerCase{{0xA7D4, 0xA7D4}, 1},
                                   LowerCase{{0xA7DA, 0xA7DA}, 1},    LowerCase{{0xA7DC, 0xA7DC}, 0x19B - 0xA7DC},
                                   LowerCase{{0x10D50, 0x10D65}, 32}, LowerCase{{0x16EA0, 0x16EB8}, 0x1B}};

bool holds(CodeRange range, std::uint32_t c) {
  return c >= range.first && c <= range.last;
}

}  // namespace

bool is_newer_than_normal_forms(std::uint32_t c) {
  const auto after = std::upper_bound(kNewer.begin(), kNewer.end(), c,
                                      [](std::uint32_t value, CodeRange range) { return value < range.first; });
  return after != kNewer.begin() && holds(*(after - 1), c);
}

bool is_mark(std::uint32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  const bool mark = category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
                    category == UTF8PROC_CATEGORY_ME || holds(kOnceMarks, c);
  return mark && !is_newer_than_normal_forms(c);
}

std::uint32_t to_lower(std::uint32_t c) {
  for (const auto& [upper, step] : kNewLowerCase) {
    if (holds(upper, c)) return static_cast<std::uint32_t>(static_cast<std::int32_t>(c) + step);
  }
  return static_cast<std::uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}

}  // namespace finetune
