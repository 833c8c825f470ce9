package io.forebay.core.cluster;

import io.forebay.core.id.Epoch;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.VolumeId;

/**
 * A volume as a member of a group.
 *
 * @param joinEpoch the epoch in which it entered its present state; re-sync names it (rule R4)
 */
public record Member(
    VolumeId volume, Incarnation incarnation, MemberState state, Epoch joinEpoch) {}
