#include "kernels/api/attention.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/ref/storage.h"

namespace finetune::kernels::ref {
namespace {

// A token of one query head: what it sees, and its probabilities.
struct Query {
  std::int64_t token, head, kv_head, first;  // first token that it sees; the last is itself
  std::vector<double> p;                     // of first, first + 1, ...
  std::vector<double> slope;                 // of scores by scaled products
  double lse;
};

double at(const Attention& a, const void* x, std::int64_t row, std::int64_t token, std::int64_t head, std::int64_t i) {
  return read(a.type, x, token * row + head * a.dim + i);
}

Query query_of(const Attention& a, std::int64_t segment_begin, std::int64_t token, std::int64_t head) {
  Query query{.token = token,
              .head = head,
              .kv_head = head / (a.heads / a.kv_heads),
              .first = segment_begin,
              .p = {},
              .slope = {},
              .lse = 0};
  if (a.window > 0) query.first = std::max(segment_begin, token - a.window + 1);
  double top = -std::numeric_limits<double>::infinity(), total = 0;
  for (std::int64_t t = query.first; t <= token; ++t) {
    double dot = 0;
    for (std::int64_t i = 0; i < a.dim; ++i)
      dot += at(a, a.q, a.q_row, token, head, i) * at(a, a.k, a.k_row, t, query.kv_head, i);
    const double capped = a.softcap > 0 ? std::tanh(dot * a.scale / a.softcap) : 0;
    query.p.push_back(a.softcap > 0 ? a.softcap * capped : dot * a.scale);
    query.slope.push_back(1 - capped * capped);
    top = std::max(top, query.p.back());
  }
  for (double& p : query.p) total += p = std::exp(p - top);
  for (double& p : query.p) p /= total;
  query.lse = top + std::log(total);
  return query;
}

template <typename Visit>
void for_each_query(const Attention& a, const Visit& visit) {
  for (std::int64_t s = 0; s < a.segments; ++s) {
    for (std::int64_t token = a.bounds[s]; token < a.bounds[s + 1]; ++token) {
      for (std::int64_t head = 0; head < a.heads; ++head) visit(query_of(a, a.bounds[s], token, head));
    }
  }
}

void zero(const Attention& a, void* x, std::int64_t row, std::int64_t heads) {
  for (std::int64_t token = a.bounds[0]; token < a.bounds[a.segments]; ++token) {
    for (std::int64_t i = 0; i < heads * a.dim; ++i) write(a.type, x, token * row + i, 0);
  }
}

void add(const Attention& a, void* x, std::int64_t index, double value) {
  write(a.type, x, index, read(a.type, x, index) + value);
}

}  // namespace

Status attention_forward(const AttentionForward& args, Stream) {
  const Attention& a = args.of;
  for_each_query(a, [&](const Query& query) {
    args.lse[query.head * args.lse_row + query.token] = static_cast<float>(query.lse);
    for (std::int64_t i = 0; i < a.dim; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < query.p.size(); ++j)
        sum += query.p[j] * at(a, a.v, a.v_row, query.first + static_cast<std::int64_t>(j), query.kv_head, i);
      write(a.type, args.o, query.token * args.o_row + query.head * a.dim + i, sum);
    }
  });
  return {};
}

Status attention_backward(const AttentionBackward& args, Stream) {
  const Attention& a = args.of;
  if (a.segments == 0) return {};
  zero(a, args.dq, args.dq_row, a.heads);
  zero(a, args.dk, args.dk_row, a.kv_heads);
  zero(a, args.dv, args.dv_row, a.kv_heads);
  for_each_query(a, [&](const Query& query) {
    double delta = 0;
    for (std::int64_t i = 0; i < a.dim; ++i)
      delta += at(a, args.d_o, args.d_o_row, query.token, query.head, i) *
               at(a, args.o, args.o_row, query.token, query.head, i);
    for (std::size_t j = 0; j < query.p.size(); ++j) {
      const std::int64_t seen = query.first + static_cast<std::int64_t>(j);
      double dp = 0;
      for (std::int64_t i = 0; i < a.dim; ++i)
        dp += at(a, args.d_o, args.d_o_row, query.token, query.head, i) * at(a, a.v, a.v_row, seen, query.kv_head, i);
      const double ds = query.p[j] * (dp - delta) * query.slope[j] * a.scale;
      for (std::int64_t i = 0; i < a.dim; ++i) {
        const std::int64_t q = query.head * a.dim + i, kv = query.kv_head * a.dim + i;
        add(a, args.dv, seen * args.dv_row + kv,
            query.p[j] * at(a, args.d_o, args.d_o_row, query.token, query.head, i));
        add(a, args.dq, query.token * args.dq_row + q, ds * at(a, a.k, a.k_row, seen, query.kv_head, i));
        add(a, args.dk, seen * args.dk_row + kv, ds * at(a, a.q, a.q_row, query.token, query.head, i));
      }
    }
  });
  return {};
}

}  // namespace finetune::kernels::ref
