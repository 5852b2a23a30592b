// SPDX-License-Identifier: BSD-3-Clause
//
// torc-bench: Google Benchmark over plain C functions. Each row calls one function with the number
// of operations that the harness asks for in one go; "Time" is that of one batch of BATCH
// operations and items_per_second is operations. Absolute figures vary between machines: compare
// within one run. The table's rows take their number of keys as argument; 10,000 fit the caches,
// 1,000,000 do not.
#include <benchmark/benchmark.h>

#include "bench/micro/bench_base.h"
#include "bench/micro/bench_table.h"

namespace {

constexpr uint64_t BATCH = 1000;

void count(benchmark::State &state) {
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(BATCH));
}

template <uint64_t (*function)(uint64_t)> void plain(benchmark::State &state) {
    for (auto _ : state) benchmark::DoNotOptimize(function(BATCH));
    count(state);
}

template <uint64_t (*function)(uint64_t, size_t)> void sized(benchmark::State &state) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(function(BATCH, static_cast<size_t>(state.range(0))));
    }
    count(state);
}

template <uint64_t (*function)(uint64_t, unsigned)> void digits(benchmark::State &state) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(function(BATCH, static_cast<unsigned>(state.range(0))));
    }
    count(state);
}

template <uint64_t (*function)(struct bench_table *, uint64_t)>
void table(benchmark::State &state) {
    struct bench_table *b = bench_table_new(static_cast<uint64_t>(state.range(0)), false);
    for (auto _ : state) benchmark::DoNotOptimize(function(b, BATCH));
    count(state);
    state.counters["bytes_per_key"] = bench_table_bytes_per_key(b);
    bench_table_free(b);
}

BENCHMARK(sized<bench_hash_bytes>)->Name("hash_bytes")->Arg(16)->Arg(64)->Arg(1024);
BENCHMARK(sized<bench_hash_slot>)->Name("hash_slot")->Arg(16)->Arg(64)->Arg(1024);
BENCHMARK(digits<bench_num_format_i64>)->Name("num_format_i64")->Arg(1)->Arg(5)->Arg(19);
BENCHMARK(digits<bench_num_parse_i64>)->Name("num_parse_i64")->Arg(1)->Arg(5)->Arg(19);
BENCHMARK(plain<bench_num_format_double>)->Name("num_format_double");
BENCHMARK(sized<bench_reply_bulk>)->Name("reply_bulk")->Arg(8)->Arg(32)->Arg(1024);
BENCHMARK(plain<bench_reply_int>)->Name("reply_int");
BENCHMARK(plain<bench_glob>)->Name("glob_match");
BENCHMARK(sized<bench_alloc>)->Name("mem_alloc_free")->Arg(16)->Arg(72)->Arg(2048);
BENCHMARK(plain<bench_parse_get>)->Name("resp_parse_get");
BENCHMARK(plain<bench_acl_check>)->Name("acl_check");
BENCHMARK(table<bench_table_find_hit>)->Name("table_find_hit")->Arg(10000)->Arg(1000000);
BENCHMARK(table<bench_table_find_miss>)->Name("table_find_miss")->Arg(10000)->Arg(1000000);
BENCHMARK(table<bench_table_find_batched>)->Name("table_find_batched")->Arg(10000)->Arg(1000000);
BENCHMARK(table<bench_table_overwrite>)->Name("table_overwrite")->Arg(10000)->Arg(1000000);
BENCHMARK(table<bench_table_insert_delete>)->Name("table_insert_delete")->Arg(10000)->Arg(1000000);

} // namespace

BENCHMARK_MAIN();
