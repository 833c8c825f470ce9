package io.forebay.core.cluster;

import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.rule.Rule;
import java.util.List;
import java.util.Optional;

/**
 * An ordered set of volumes that hold the same chunks, at one epoch: the record that replicas,
 * writers and readers act on. Changed only by the cluster log; there is one record per epoch.
 *
 * @param remembered the members that hold everything acknowledged so far, with the incarnations in
 *     which they do (rule R12): of the last epoch that took writes those IN_SYNC, and those
 *     remembered before who took part in its writes
 * @param reviving whether all members compare their chunks because nobody is in sync (rule R12);
 *     then no write is taken and "absent" does not count
 */
public record Group(
    GroupId id,
    Family family,
    Epoch epoch,
    List<Member> members,
    List<Member> remembered,
    boolean reviving) {
  public Group {
    members = List.copyOf(members);
    remembered = List.copyOf(remembered);
  }

  /** The member with this volume, in whatever state. */
  public Optional<Member> member(VolumeId volume) {
    return members.stream().filter(member -> member.volume().equals(volume)).findFirst();
  }

  /** Members in a state, in the group's order. */
  public List<Member> in(MemberState state) {
    return members.stream().filter(member -> member.state() == state).toList();
  }

  /** Members that must acknowledge a write of this epoch: IN_SYNC and SYNCING (rules R2, R3). */
  public List<Member> writers() {
    return members.stream()
        .filter(member ->
            member.state() == MemberState.IN_SYNC
                || (member.state() == MemberState.SYNCING && Rule.R3.holds()))
        .toList();
  }

  /** Whether the group may take a write at all (rule R9). */
  public boolean writable() {
    return !reviving
        && in(MemberState.IN_SYNC).size() >= 1
        && (in(MemberState.IN_SYNC).size() + in(MemberState.SYNCING).size() >= family.minInSync()
            || !Rule.R9.holds());
  }

  /** Whether as many members as wanted take writes. */
  public boolean fullStrength() {
    return writable() && writers().size() >= family.replicas();
  }
}
