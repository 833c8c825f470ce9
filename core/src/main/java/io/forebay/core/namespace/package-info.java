/**
 * What is published under which key, who may still need which chunk, and how far is each object on
 * its way to the store? The values, commands and queries of a namespace shard, and its
 * deterministic state machine: rules G1–G5, G7, G8, R13 and F1–F8, F11. The keys of its map are
 * drawn in {@code docs/formats/namespace.md}.
 *
 * <p>It never reads a clock (wall time comes with the log entry), never sees data beyond inline
 * bodies, never talks to the store, and never keeps anything outside the sorted map.
 *
 * <p>Called by the log (apply) and by voters (query); by node and gateway for the values. It calls
 * bytes, cluster, codec, error, file, id and sorted.
 *
 * <p>Threading: one thread applies; any number query, each on a view of its own.
 *
 * <p>Failure: what cannot be done is a {@code Refused} result with its code and changes nothing.
 */
@NullMarked
package io.forebay.core.namespace;

import org.jspecify.annotations.NullMarked;
