// Normal forms at the places where tables and cuts matter; every expectation is what tokenizers 0.23.3 gives.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/tokenizers/normalizers.h"

namespace finetune::testing {
namespace {

std::string text_of(std::initializer_list<std::uint32_t> characters) {
  std::string text;
  for (const auto c : characters) text += to_utf8(c);
  return text;
}

std::string normalised(const char* type, const std::string& text) {
  AlignedText aligned(text, 0);
  make_normalizer("test", nlohmann::ordered_json{{"type", type}})->apply(aligned);
  return aligned.text();
}

struct Case {
  const char* type;
  std::initializer_list<std::uint32_t> before, after;
};

TEST(NormalForms, ComposeAcrossCharactersThatDecomposeToConjoiningOnes) {
  for (const auto& [type, before, after] :
       std::initializer_list<Case>{{"NFKC", {0xFFA7, 0xFFCB}, {0xB3A8}},          // half-width Hangul
                                   {"NFKC", {0xFFA7, 0xFFCB, 0x11A8}, {0xB3A9}},  // and a final
                                   {"NFKC", {0xFF76, 0xFF9E}, {0x30AC}},          // half-width kana and its voiced mark
                                   {"NFC", {0xFFA7, 0xFFCB}, {0xFFA7, 0xFFCB}},   // no compatibility form
                                   {"NFC", {0x1100, 0x1161, 0x11A8}, {0xAC01}},
                                   {"NFKD", {0xFFA7, 0xFFCB}, {0x1103, 0x1168}}})
    EXPECT_EQ(normalised(type, text_of(before)), text_of(after)) << type << " " << text_of(before);
}

TEST(NormalForms, LeaveCharactersThatAreNewerThanTheLibrarysTables) {
  for (const char* type : {"NFC", "NFD", "NFKC", "NFKD"}) {
    for (const auto& characters : std::initializer_list<std::initializer_list<std::uint32_t>>{
             {0x107B7}, {0x32FF}, {0x1E030}, {0x1FBF0}, {0x11938}, {0x11935, 0x11930}, {'a', 0x1DF6, 0x334}})
      EXPECT_EQ(normalised(type, text_of(characters)), text_of(characters)) << type << " " << text_of(characters);
  }
  EXPECT_EQ(normalised("NFKC", text_of({0x107B7, 'e', 0x301})), text_of({0x107B7, 0xE9})) << "what follows is not left";
}

TEST(Marks, AreThoseOfTheLibrary) {
  EXPECT_EQ(normalised("StripAccents", text_of({'a', 0x301, 0x1DF6, 0x1CF2, 0x903})), text_of({'a', 0x1DF6}));
}

TEST(LowerCase, IsThatOfTheLibrary) {
  EXPECT_EQ(normalised("Lowercase", text_of({'A', 0x130, 0x1C89, 0xA7CB, 0x10D50, 0x16EB8})),
            text_of({'a', 'i', 0x307, 0x1C8A, 0x264, 0x10D70, 0x16ED3}));
}

}  // namespace
}  // namespace finetune::testing
