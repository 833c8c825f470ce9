package io.forebay.core.volume;

/**
 * What a volume holds.
 *
 * @param capacityBytes what it may hold
 * @param usedBytes room taken by chunks, reservations included
 * @param chunks how many it holds
 * @param queuedBytes slices taken and not yet on the disk
 */
public record VolumeUsage(long capacityBytes, long usedBytes, long chunks, long queuedBytes) {}
