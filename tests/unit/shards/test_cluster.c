// SPDX-License-Identifier: BSD-3-Clause
//
// Unit tests of shards/cluster.c: ports and ids of the nodes that shards are on their own ports.
// The ids are compared with written-down ones: they must not change from version to version, or a
// restart would look like another cluster.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shards/cluster.h"

static void test_ids_stay(void **state) {
    (void)state;
    char id[CLUSTER_ID_SIZE];
    cluster_node_id(6379, 0, 4, id);
    assert_string_equal(id, "7cc3fa58b97a90f0ca8aa8bf66b56e6ffb2e661f");
    cluster_shard_id(6379, 0, 4, id);
    assert_string_equal(id, "66f2e71fa0e63192a288485a192d7048041d7740");
}

static void test_ids_differ(void **state) {
    (void)state;
    enum { SHARDS = 64 };
    static char ids[4 * SHARDS][CLUSTER_ID_SIZE];
    size_t count = 0;
    for (uint32_t i = 0; i < SHARDS; i++) {
        cluster_node_id(6379, i, SHARDS, ids[count++]);
        cluster_shard_id(6379, i, SHARDS, ids[count++]);
        cluster_node_id(6380, i, SHARDS, ids[count++]);
        cluster_node_id(6379, i, SHARDS + 1, ids[count++]);
    }
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(strspn(ids[i], "0123456789abcdef"), 40);
        assert_int_equal(strlen(ids[i]), 40);
        for (size_t j = 0; j < i; j++) assert_string_not_equal(ids[i], ids[j]);
    }
}

static void test_ports(void **state) {
    (void)state;
    struct config *config = config_new();
    assert_int_equal(cluster_port(config, 0), 6380);
    assert_int_equal(cluster_port(config, 3), 6383);
    config_release(config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_stay),
        cmocka_unit_test(test_ids_differ),
        cmocka_unit_test(test_ports),
    };
    return cmocka_run_group_tests_name("shards/cluster", tests, NULL, NULL);
}
