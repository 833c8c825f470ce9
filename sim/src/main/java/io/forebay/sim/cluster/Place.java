package io.forebay.sim.cluster;

import io.forebay.core.id.BucketId;

/**
 * A bucket of a scenario.
 *
 * @param backed whether there is a store behind it
 */
record Place(String bucket, BucketId id, boolean backed) {}
