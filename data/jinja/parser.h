// What both halves of the parser share: the tokens, the numbered names, and how deep the tree has become.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/jinja/ast.h"
#include "data/jinja/lexer.h"

namespace finetune::jinja {

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(tokenize(source)) {}
  Tree run();

 private:
  // parser_expressions.cpp
  Expr expression();  // with an inline if
  Expr disjunction();
  Expr conjunction();
  Expr negation();
  Expr comparison();
  Expr sum();
  Expr concatenation();
  Expr product();
  Expr power();
  Expr unary(bool with_filters);
  Expr primary();
  Expr parenthesised();
  Expr list();
  Expr dict();
  Expr text();
  Expr number();
  Expr postfix(Expr base);
  Expr filters_and_tests(Expr base);
  Expr subscript(Expr base);
  Expr slice_part(Expr base);
  Expr filter(Expr base);
  Expr test(Expr base);
  void arguments(Expr& call);
  /// One expression, or a tuple of several with commas between; `ends` says where to stop after a comma.
  Expr tuple(bool conditional, const std::function<bool()>& ends = {});
  Expr binary(Operator op, Expr left, Expr right);
  Expr node(Expr::Kind kind, std::vector<Expr> children = {});
  int symbol(const std::string& name);
  Expr name_node(const std::string& name);

  // parser_statements.cpp
  Body body(const std::vector<std::string_view>& ends);
  Statement statement(const std::string& tag);
  Statement output();
  Statement loop();
  Statement branch();
  Statement assign();
  Statement macro();
  Statement call_block();
  Statement filter_block();
  Statement generation();
  Statement with();
  Expr target(bool with_namespace);
  Expr single_target(bool with_namespace);
  void signature(Macro& macro);
  void macro_body(Statement& made, std::string_view end);
  void end_block();

  const Token& peek(std::size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  Token take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool is_op(std::string_view op, std::size_t ahead = 0) const;
  bool is_name(std::string_view name, std::size_t ahead = 0) const;
  bool skip_op(std::string_view op);
  bool skip_name(std::string_view name);
  void expect_op(std::string_view op);
  std::string expect_name();
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void unexpected() const;

  /// Counts what is being read inside one another: recursion is bounded.
  struct Nested {
    explicit Nested(Parser& parser);
    ~Nested() { --parser_.nesting_; }
    Parser& parser_;
  };

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int nesting_ = 0;
  int macros_ = 0;                                // made so far: a body during which it grows is captured
  std::vector<Macro*> open_macros_;               // being read, for what their bodies mention
  std::unordered_map<std::string, int> numbers_;  // of names
  Tree tree_;
};

}  // namespace finetune::jinja
