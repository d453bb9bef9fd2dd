#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/strict_json.h"
#include "data/tokenizers/json_tokenizer.h"
#include "data/tokenizers/sentencepiece_tokenizer.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Json read_if_there(const fs::path& path) {
  if (!fs::exists(path)) return Json::object();
  Json json = read_json_file(path.string());
  if (!json.is_object()) throw bad_input(path.string(), "is not an object");
  return json;
}

// "</s>" or {"content": "</s>", ...}
std::string token_text(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (json.is_object() && json.contains("content") && json["content"].is_string())
    return json["content"].get<std::string>();
  return "";
}

std::vector<AddedToken> added_tokens_of(const fs::path& folder, const Json& config) {
  std::vector<AddedToken> tokens;
  const std::string where = (folder / "tokenizer_config.json").string();
  if (config.contains("added_tokens_decoder") && config["added_tokens_decoder"].is_object()) {
    for (const auto& [id, json] : config["added_tokens_decoder"].items()) {
      const bool digits = !id.empty() && id.size() < 9 && id.find_first_not_of("0123456789") == std::string::npos;
      if (!digits || token_text(json).empty()) throw bad_input(where, "added_tokens_decoder." + id + " is not a token");
      AddedToken token{.id = std::stoi(id), .content = token_text(json)};
      if (json.is_object()) {
        token.lstrip = json.value("lstrip", false);
        token.rstrip = json.value("rstrip", false);
        token.single_word = json.value("single_word", false);
        token.special = json.value("special", false);
      }
      tokens.push_back(std::move(token));
    }
    return tokens;
  }
  const Json list = read_if_there(folder / "added_tokens.json");
  for (const auto& [content, id] : list.items()) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() > (1u << 24))
      throw bad_input((folder / "added_tokens.json").string(), "\"" + content + "\" has no usable id");
    tokens.push_back({.id = id.get<std::int32_t>(), .content = content});
  }
  return tokens;
}

// vocab.json + merges.txt in the shape of a tokenizer.json: byte-level BPE with the GPT-2 or Qwen2 pattern.
std::string json_from_vocabulary(const fs::path& folder, const Json& config) {
  Json json;
  json["model"] = {{"type", "BPE"}, {"vocab", read_json_file((folder / "vocab.json").string())}};
  Json merges = Json::array();
  const std::string text = read_file(folder / "merges.txt");
  require_utf8((folder / "merges.txt").string(), text);
  std::size_t begin = 0;
  while (begin < text.size()) {
    std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    std::string line = text.substr(begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty() && !line.starts_with("#version")) merges.push_back(line);
    begin = end + 1;
  }
  json["model"]["merges"] = std::move(merges);
  const bool qwen = config.value("tokenizer_class", "").starts_with("Qwen2");
  json["normalizer"] = qwen ? Json{{"type", "NFC"}} : Json();
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", !qwen}, {"trim_offsets", false}};
  if (qwen) {
    const std::string pattern =
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
    json["pre_tokenizer"] = {
        {"type", "Sequence"},
        {"pretokenizers",
         Json::array(
             {{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}},
              byte_level})}};
  } else {
    json["pre_tokenizer"] = byte_level;
  }
  json["decoder"] = {{"type", "ByteLevel"}};
  Json added = Json::array();
  for (const auto& token : added_tokens_of(folder, config)) {
    added.push_back({{"id", token.id},
                     {"content", token.content},
                     {"single_word", token.single_word},
                     {"lstrip", token.lstrip},
                     {"rstrip", token.rstrip},
                     {"normalized", false},
                     {"special", token.special}});
  }
  json["added_tokens"] = added;
  return json.dump();
}

bool has_vocabulary(const fs::path& folder) {
  return fs::exists(folder / "vocab.json") && fs::exists(folder / "merges.txt");
}

std::unique_ptr<Tokenizer> open_tokenizer(const fs::path& folder, const Json& config) {
  const fs::path json = folder / "tokenizer.json", model = folder / "tokenizer.model";
  if (fs::exists(json)) return parse_json_tokenizer(json.string(), read_file(json, std::uint64_t{1} << 30));
  if (fs::exists(model)) {
    SentencePieceOptions options{.add_bos = config.value("add_bos_token", true),
                                 .add_eos = config.value("add_eos_token", false)};
    options.added = added_tokens_of(folder, config);
    return make_sentencepiece_tokenizer(model.string(), read_file(model, std::uint64_t{1} << 30), options);
  }
  if (has_vocabulary(folder)) {
    return parse_json_tokenizer((folder / "vocab.json").string(), json_from_vocabulary(folder, config));
  }
  throw bad_input(folder.string(), "has no tokenizer.json, tokenizer.model, or vocab.json with merges.txt");
}

void set_special_ids(Tokenizer& tokenizer, const fs::path& folder, const Json& config) {
  const Json map = read_if_there(folder / "special_tokens_map.json"), model = read_if_there(folder / "config.json");
  const auto find = [&](const char* token_key, const char* id_key, std::optional<std::int32_t>& id) {
    for (const Json* json : {&config, &map}) {
      if (!json->contains(token_key)) continue;
      if (const auto found = tokenizer.token_to_id(token_text((*json)[token_key]));
          found && !token_text((*json)[token_key]).empty()) {
        id = found;
        return;
      }
    }
    if (id || !model.contains(id_key)) return;
    const Json& value = model[id_key].is_array() && !model[id_key].empty() ? model[id_key][0] : model[id_key];
    if (value.is_number_unsigned() && value.get<std::uint64_t>() < (1u << 24)) id = value.get<std::int32_t>();
  };
  find("bos_token", "bos_token_id", tokenizer.bos_id);
  find("eos_token", "eos_token_id", tokenizer.eos_id);
  find("pad_token", "pad_token_id", tokenizer.pad_id);
}

// chat_template.jinja, else chat_template of tokenizer_config.json: a text, or of a list the one named default.
void set_chat_template(Tokenizer& tokenizer, const fs::path& folder, const Json& config) {
  tokenizer.chat_template_file = (folder / "chat_template.jinja").string();
  if (fs::exists(tokenizer.chat_template_file)) {
    tokenizer.chat_template = read_file(tokenizer.chat_template_file, 16 << 20);
    require_utf8(tokenizer.chat_template_file, tokenizer.chat_template);
    return;
  }
  tokenizer.chat_template_file = (folder / "tokenizer_config.json").string();
  if (!config.contains("chat_template")) return;
  const Json& value = config["chat_template"];
  if (value.is_string()) tokenizer.chat_template = value.get<std::string>();
  for (const auto& entry : value.is_array() ? value : Json::array()) {
    if (entry.is_object() && entry.value("name", "") == "default" && entry.contains("template"))
      tokenizer.chat_template = entry["template"].get<std::string>();
  }
}

// The named special tokens, as templates get them; tokenizer_config.json goes before special_tokens_map.json.
void set_special_tokens(Tokenizer& tokenizer, const fs::path& folder, const Json& config) {
  const Json map = read_if_there(folder / "special_tokens_map.json");
  for (const char* name :
       {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
    for (const Json* json : {&config, &map}) {
      if (!json->contains(name) || token_text((*json)[name]).empty()) continue;
      tokenizer.special_tokens.emplace_back(name, token_text((*json)[name]));
      break;
    }
  }
}

}  // namespace

bool has_tokenizer(const fs::path& folder) {
  return fs::exists(folder / "tokenizer.json") || fs::exists(folder / "tokenizer.model") || has_vocabulary(folder);
}

std::unique_ptr<Tokenizer> load_tokenizer(const fs::path& folder) {
  if (!fs::is_directory(folder)) throw bad_input(folder.string(), "is not a folder");
  const std::string where = (folder / "tokenizer_config.json").string();
  const Json config = read_if_there(folder / "tokenizer_config.json");
  try {
    auto tokenizer = open_tokenizer(folder, config);
    set_special_ids(*tokenizer, folder, config);
    set_special_tokens(*tokenizer, folder, config);
    set_chat_template(*tokenizer, folder, config);
    return tokenizer;
  } catch (const nlohmann::json::exception&) {
    throw bad_input(where, "has a value of the wrong type");
  }
}

}  // namespace finetune
