# SPDX-License-Identifier: BSD-3-Clause
"""The parts of bench/compare: servers, load generators, scenarios, table and chart."""
