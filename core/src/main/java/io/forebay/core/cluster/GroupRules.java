package io.forebay.core.cluster;

import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.rule.Level;
import io.forebay.core.rule.Rule;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;

/**
 * How a group follows what is known of its volumes. Legal transitions of a member:
 *
 * <pre>
 *   IN_SYNC, SYNCING → OUT      its volume is away, gone or another incarnation (R6);
 *                               with the last IN_SYNC member all SYNCING ones too (R11)
 *   OUT → SYNCING               it is there and somebody is IN_SYNC, or the group revives (R12)
 *   OUT → IN_SYNC               remembered, of unchanged incarnation, nobody IN_SYNC (R12)
 *   SYNCING → IN_SYNC           Promote with its join epoch (R4); Revived
 *   (none) → SYNCING            replaces one that is lost or leaving, or one that moves
 *   any → (none)                enough others are IN_SYNC; or gone when the group revives
 *   SYNCING → (none)            it moves in beside one of its own domain, and another is away
 * </pre>
 *
 * <p>A member that takes or took writes is never dropped before {@code replicas} others are
 * IN_SYNC: until then it may hold the only other copy.
 *
 * <p>What "remembered" is. Rule R12 remembers the IN_SYNC members of the last epoch that had
 * minInSync of them. A group takes writes with SYNCING members counted too ({@link
 * Group#writable}), so those writes must be covered as well: remembered are the members that hold
 * everything acknowledged so far. In an epoch that takes writes these are the IN_SYNC members, and
 * of those remembered before the ones that take part in its writes without having lost anything;
 * whoever is OUT in such an epoch is forgotten. An epoch that takes no writes changes nothing.
 *
 * <p>What is asked about a whole image is what the log decides by when a member shall move
 * (decision 0025), and whoever asks for it beforehand. All of this is applied from the log: a
 * change of it needs another level (decision 0022).
 */
public final class GroupRules {
  private GroupRules() {}

  /** A group of volumes that are all empty and there. */
  static Group fresh(GroupId id, Family family, List<VolumeId> volumes, ClusterState state) {
    var first = new Epoch(1);
    List<Member> members =
        volumes.stream()
            .map(volume ->
                new Member(volume, incarnation(volume, state), MemberState.IN_SYNC, first))
            .toList();
    return new Group(id, family, first, members, members, false);
  }

  /**
   * Lets a group follow its volumes until nothing is left to do: at most put out, revive, trim and
   * take in, an epoch each.
   */
  static Group settle(Group before, ClusterState state) {
    Group group = before;
    for (int steps = 0; steps < 8; steps++) {
      Group next = step(group, state);
      if (next.equals(group)) {
        return group;
      }
      group = next;
    }
    throw new IllegalStateException("group does not settle: " + before + " → " + group);
  }

  private static Group step(Group group, ClusterState state) {
    Group next = putOut(group, state);
    if (!next.equals(group) || group.reviving()) {
      return next;
    }
    if (group.in(MemberState.IN_SYNC).isEmpty()) {
      return revive(group, state);
    }
    next = trim(group, state);
    return next.equals(group) ? takeIn(group, state) : next;
  }

  /** R6, R11: members whose volume is away or another one than it was. */
  private static Group putOut(Group group, ClusterState state) {
    List<Member> members = new ArrayList<>();
    for (Member member : group.members()) {
      Incarnation present = state.present(member.volume());
      boolean same = Rule.R6.holds() ? member.incarnation().equals(present) : present != null;
      members.add(same ? member : as(member, MemberState.OUT));
    }
    if (members.equals(group.members())) {
      return group;
    }
    if (group.reviving()) { // Those who compare their chunks must all be there: they begin again.
      return change(group, allOut(members), false);
    }
    return change(group, withoutDoubles(group, members, state), false);
  }

  /**
   * Takes a move back whose old and new member are of one domain when another member is away: the
   * two would go on taking writes, with all copies in one domain. As many as shall be were in sync
   * beside the new one until now, so they hold what it does. Where fewer were, it may have the only
   * other copy: at {@link Level#MOVES} that was dropped, too. Before, nothing was.
   */
  private static List<Member> withoutDoubles(
      Group group, List<Member> members, ClusterState state) {
    boolean enough = group.in(MemberState.IN_SYNC).size() >= group.family().replicas();
    if (state.level() < Level.MOVES || (state.level() >= Level.KEPT && !enough)) {
      return members;
    }
    var domains = new TreeSet<String>();
    for (Member member : members) {
      if (member.state() == MemberState.IN_SYNC) {
        state.domain(member.volume()).ifPresent(domains::add);
      }
    }
    return members.stream()
        .filter(member ->
            member.state() != MemberState.SYNCING
                || remembered(group, member, state)
                || state.domain(member.volume()).filter(domains::contains).isEmpty())
        .toList();
  }

  /** R12: nobody is in sync. */
  private static Group revive(Group group, ClusterState state) {
    List<Member> members = new ArrayList<>();
    for (Member member : group.members()) {
      members.add(
          present(
              member,
              state,
              remembered(group, member, state) ? MemberState.IN_SYNC : MemberState.SYNCING));
    }
    if (members.stream().anyMatch(member -> member.state() == MemberState.IN_SYNC)) {
      return change(group, members, false);
    }
    // A disk that was replaced takes part as what it is, empty: it needs not be asked.
    members.removeIf(member -> state.gone(member.volume()));
    boolean allThere =
        !members.isEmpty()
            && members.stream().allMatch(member -> member.state() == MemberState.SYNCING);
    return allThere ? change(group, members, true) : group;
  }

  private static boolean remembered(Group group, Member member, ClusterState state) {
    Incarnation present = state.present(member.volume());
    return present != null
        && group.remembered().stream()
            .anyMatch(old ->
                old.volume().equals(member.volume())
                    && (old.incarnation().equals(present) || !Rule.R12.holds()));
  }

  /** Members that are back catch up. */
  private static Group takeIn(Group group, ClusterState state) {
    List<Member> members = new ArrayList<>();
    for (Member member : group.members()) {
      members.add(
          member.state() == MemberState.OUT ? present(member, state, MemberState.SYNCING) : member);
    }
    return change(group, members, false);
  }

  /** With enough members in sync, in different domains and there to stay, the others may go. */
  private static Group trim(Group group, ClusterState state) {
    List<Member> keep = new ArrayList<>();
    var domains = new TreeSet<String>();
    for (Member member : group.in(MemberState.IN_SYNC)) {
      Optional<String> domain = state.domain(member.volume());
      if (keep.size() < group.family().replicas()
          && !state.leaving(member.volume())
          && domain.isPresent()
          && domains.add(domain.get())) {
        keep.add(member);
      }
    }
    return keep.size() < group.family().replicas() ? group : change(group, keep, false);
  }

  /** R4; empty when the member is not what the sender believes. */
  static Optional<Group> promote(Group group, VolumeId volume, Epoch joinEpoch) {
    Optional<Member> member = group.member(volume);
    if (group.reviving()
        || member.isEmpty()
        || member.get().state() != MemberState.SYNCING
        || (Rule.R4_NAMED.holds() && !member.get().joinEpoch().equals(joinEpoch))) {
      return Optional.empty();
    }
    List<Member> members =
        group.members().stream()
            .map(each -> each.volume().equals(volume) ? as(each, MemberState.IN_SYNC) : each)
            .toList();
    return Optional.of(change(group, members, false));
  }

  /** All members have the union. */
  static Group revived(Group group) {
    return change(
        group,
        group.members().stream().map(member -> as(member, MemberState.IN_SYNC)).toList(),
        false);
  }

  /** The members that are there compare their chunks without the others, who are given up. */
  static Group salvage(Group group, ClusterState state) {
    return change(
        group,
        group.members().stream()
            .map(member -> present(member, state, MemberState.SYNCING))
            .filter(member -> member.state() == MemberState.SYNCING)
            .toList(),
        true);
  }

  /** Begins again with empty volumes; of what the group held nothing is left. */
  static Group restart(Group group, List<VolumeId> volumes, ClusterState state) {
    return change(
        group,
        volumes.stream()
            .map(volume ->
                new Member(volume, incarnation(volume, state), MemberState.IN_SYNC, group.epoch()))
            .toList(),
        false);
  }

  /**
   * Takes in new members beside the present ones until as many as wanted are there to stay.
   *
   * @param lost volumes that shall be replaced
   */
  static Group replace(
      Group group, ClusterState state, Placement placement, Predicate<VolumeId> lost) {
    if (group.reviving() || group.in(MemberState.IN_SYNC).isEmpty()) {
      return group;
    }
    List<VolumeId> staying = new ArrayList<>();
    var domains = new TreeSet<String>();
    // Who came back beside its own replacement may share a domain with it: one of them counts.
    for (Member member : group.members()) {
      if (!lost.test(member.volume())
          && state.domain(member.volume()).map(domains::add).orElse(true)) {
        staying.add(member.volume());
      }
    }
    List<VolumeId> all = group.members().stream().map(Member::volume).toList();
    List<VolumeId> added =
        placement.extend(staying, all, group.family().replicas() - staying.size());
    List<Member> members = new ArrayList<>(group.members());
    for (VolumeId volume : added) {
      members.add(
          new Member(volume, incarnation(volume, state), MemberState.SYNCING, group.epoch()));
    }
    return change(group, members, false);
  }

  /**
   * Whether a volume catches up, so that another one may take its place at any time. Before {@link
   * Level#KEPT}, which has it stay meanwhile, only one that was forgotten.
   */
  static boolean catchesUp(Group group, VolumeId volume, int level) {
    return !group.reviving()
        && !group.in(MemberState.IN_SYNC).isEmpty()
        && syncing(group, volume)
        && (level >= Level.KEPT
            || group.remembered().stream().noneMatch(each -> each.volume().equals(volume)));
  }

  private static boolean syncing(Group group, VolumeId volume) {
    return group.in(MemberState.SYNCING).stream().anyMatch(each -> each.volume().equals(volume));
  }

  /**
   * Whether every group has its members, all of them in sync and there to stay: else the log takes
   * no move, but of one that {@link #catchesUp}.
   */
  public static boolean whole(ClusterImage image) {
    return wholeBut(image, Optional.empty());
  }

  /** The same, whatever this one is like. */
  public static boolean wholeBesides(ClusterImage image, GroupId but) {
    return wholeBut(image, Optional.of(but));
  }

  private static boolean wholeBut(ClusterImage image, Optional<GroupId> but) {
    Set<VolumeId> staying = staying(image);
    return image.groups().stream()
        .filter(group -> !but.equals(Optional.of(group.id())))
        .allMatch(group ->
            group.in(MemberState.IN_SYNC).size() == group.family().replicas()
                && group.members().size() == group.family().replicas()
                && group.members().stream().allMatch(each -> staying.contains(each.volume())));
  }

  /** Volumes of nodes that are up, and not being emptied. */
  static Set<VolumeId> staying(ClusterImage image) {
    var nodes = new TreeSet<NodeId>();
    for (NodeRecord node : image.nodes()) {
      if (node.state() == NodeState.UP) {
        nodes.add(node.id());
      }
    }
    var staying = new TreeSet<VolumeId>();
    for (VolumeRecord volume : image.volumes()) {
      if (nodes.contains(volume.node())) {
        staying.add(volume.id());
      }
    }
    return staying;
  }

  /** Whether a volume may be a member in another one's place: it stays, in a domain of its own. */
  static boolean mayReplace(ClusterImage image, Group group, VolumeId from, VolumeId to) {
    return staying(image).contains(to) && fits(image, group, from, to);
  }

  /** The same of a volume that stays. */
  static boolean fits(ClusterImage image, Group group, VolumeId from, VolumeId to) {
    Optional<String> domain = domain(image, to);
    return group.member(from).isPresent()
        && group.member(to).isEmpty()
        && group.members().stream()
            .filter(member -> !member.volume().equals(from))
            .noneMatch(member -> domain(image, member.volume()).equals(domain));
  }

  private static Optional<String> domain(ClusterImage image, VolumeId volume) {
    return image
        .volume(volume)
        .flatMap(record -> image.node(record.node()))
        .map(NodeRecord::domain);
  }

  /**
   * Takes a volume in where another one stands, which becomes the last: so it is the one that
   * {@link #trim} drops when the new one is in sync. Until then trim would drop the new one; that
   * is how a move is taken back, and what becomes of it where a member goes and comes meanwhile.
   *
   * <p>One that {@link #catchesUp} stays, too: it is one of those whose acknowledgements made
   * writes safe (R2), and so may hold the only other copy. Before {@link Level#KEPT} it went at
   * once.
   */
  static Group move(Group group, VolumeId from, VolumeId to, ClusterState state) {
    List<Member> members = new ArrayList<>();
    for (Member member : group.members()) {
      members.add(
          member.volume().equals(from)
              ? new Member(to, incarnation(to, state), MemberState.SYNCING, group.epoch())
              : member);
    }
    if (Rule.MOVE_KEEPS.holds() && (state.level() >= Level.KEPT || !syncing(group, from))) {
      members.add(group.member(from).orElseThrow());
    }
    return change(group, members, false);
  }

  /** The next epoch, if anything differs. */
  private static Group change(Group group, List<Member> wanted, boolean reviving) {
    List<Member> members = wanted;
    if (!reviving
        && members.stream().noneMatch(each -> each.state() == MemberState.IN_SYNC)
        && Rule.R11.holds()) {
      members = allOut(members);
    }
    if (members.equals(group.members()) && reviving == group.reviving()) {
      return group;
    }
    var epoch = new Epoch(group.epoch().value() + 1);
    List<Member> dated = new ArrayList<>();
    for (Member member : members) {
      Optional<Member> before = group.member(member.volume());
      boolean moved =
          before.isEmpty()
              || before.get().state() != member.state()
              || !before.get().incarnation().equals(member.incarnation())
              || reviving != group.reviving();
      dated.add(
          moved
              ? new Member(member.volume(), member.incarnation(), member.state(), epoch)
              : member);
    }
    var next = new Group(group.id(), group.family(), epoch, dated, group.remembered(), reviving);
    return next.writable()
        ? new Group(group.id(), group.family(), epoch, dated, holders(group, dated), false)
        : next;
  }

  /** Who holds everything acknowledged up to the end of an epoch that takes writes. */
  private static List<Member> holders(Group group, List<Member> members) {
    List<Member> holders = new ArrayList<>();
    for (Member member : members) {
      boolean before =
          group.remembered().stream()
              .anyMatch(old ->
                  old.volume().equals(member.volume())
                      && old.incarnation().equals(member.incarnation()));
      if (member.state() == MemberState.IN_SYNC
          || (member.state() == MemberState.SYNCING && before)) {
        holders.add(member);
      }
    }
    return holders;
  }

  private static List<Member> allOut(List<Member> members) {
    return members.stream().map(member -> as(member, MemberState.OUT)).toList();
  }

  private static Member as(Member member, MemberState state) {
    return new Member(member.volume(), member.incarnation(), state, member.joinEpoch());
  }

  /** The member in its volume's present incarnation and this state; OUT when it is away. */
  private static Member present(Member member, ClusterState state, MemberState wanted) {
    Incarnation present = state.present(member.volume());
    return present == null
        ? as(member, MemberState.OUT)
        : new Member(member.volume(), present, wanted, member.joinEpoch());
  }

  private static Incarnation incarnation(VolumeId volume, ClusterState state) {
    return state.volume(volume).orElseThrow().incarnation();
  }
}
