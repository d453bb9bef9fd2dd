// A template's tree. Names are numbered, so that a look-up compares numbers.
#pragma once

#include <string>
#include <vector>

#include "data/jinja/value.h"

namespace finetune::jinja {

/// A fault at a line of the template.
struct LineFault : Fault {
  LineFault(int at, const std::string& what) : Fault(what), line(at) {}
  int line;
};

struct FilterEntry;
struct TestEntry;

enum class Operator { add, sub, mul, div, floordiv, mod, pow, eq, ne, lt, le, gt, ge, in, not_in };

struct Expr;
struct Keyword;

struct Expr {
  enum class Kind {
    constant,     // value
    name,         // symbol; value: the undefined that stands for it
    list,         // children
    tuple,        // children
    dict,         // children: key, value, key, value ...
    attribute,    // children[0].name; value: the name as text
    item,         // children[0][children[1]]
    slice,        // children[0][children[1]:children[2]:children[3]]; none where absent
    call,         // children[0](children[1..], keywords)
    spread,       // *children[0], in a call
    filter,       // children[0] | name(children[1..], keywords)
    test,         // children[0] is name(children[1..], keywords)
    negative,     // - children[0]
    positive,     // + children[0]
    logical_not,  // children[0]
    logical_and,  // children[0], children[1]
    logical_or,
    binary,       // children[0] op children[1]
    compare,      // children[0] operators[0] children[1] operators[1] ...
    concat,       // children, as texts
    conditional,  // children[1] if children[0] else children[2] (may be absent)
  };
  Kind kind = Kind::constant;
  int line = 0;
  int depth = 1;
  int symbol = -1;
  Value value;
  std::string name;  // of a filter or test
  const FilterEntry* filter = nullptr;
  const TestEntry* test = nullptr;
  Operator op = Operator::add;
  std::vector<Operator> operators;
  std::vector<Expr> children;
  std::vector<Keyword> keywords;
};

struct Keyword {
  std::string name;  // "": ** of a dict
  Expr value;
};

struct Statement;

/// Statements with a scope of their own where the construct has one.
struct Body {
  std::vector<Statement> statements;
  bool captured = false;  ///< a macro is made inside: its scope outlives it
};

struct Macro {
  std::string name;
  std::vector<int> parameters;                           // symbols
  std::vector<std::string> names;                        // the same as texts
  std::vector<Expr> defaults;                            // of the last parameters
  bool varargs = false, kwargs = false, caller = false;  // what the body mentions
};

struct Statement {
  enum class Kind {
    text,         // text
    output,       // expressions[0]
    branch,       // expressions[i] ? bodies[i] : ...; one body more: else
    loop,         // for target in expressions[0] if expressions[1]; bodies[0], else bodies[1]
    assign,       // target = expressions[0]
    assign_body,  // target = bodies[0], filters applied in expressions[0]
    macro,        // macro, bodies[0]; symbol
    call,         // expressions[0] with a caller of macro, bodies[0]
    filter,       // bodies[0] through expressions[0]
    generation,   // bodies[0]
    with,         // targets = expressions; bodies[0]
    stop,         // break
    next,         // continue
  };
  Kind kind = Kind::text;
  int line = 0;
  int symbol = -1;
  std::string text;
  std::vector<Expr> targets, expressions;
  std::vector<Body> bodies;
  Macro macro;
};

struct Tree {
  Body body;
  std::vector<std::string> symbols;  // names by number
  bool generation = false;           // has a generation block
};

/// The tree of a template. Throws LineFault.
Tree parse(std::string_view source);

}  // namespace finetune::jinja
