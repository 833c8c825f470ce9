package io.forebay.core.namespace;

import io.forebay.core.file.PrefixPolicy;
import io.forebay.core.id.InodeId;
import io.forebay.core.rule.Rule;
import io.forebay.core.sorted.SortedMap;
import java.util.List;

/**
 * Which directories a listing passes over: checkpoints without their marker, by the policies of now
 * (decision 0024). Whoever names one in the prefix of the listing sees it, and so does a listing
 * that goes on inside one: who deletes page by page has maybe just deleted its marker.
 *
 * <p>Costs nothing for each key, and for each directory directly below a policy's prefix a look for
 * its marker.
 */
final class Begun {
  private record Checkpoints(byte[] prefix, byte[] marker) {}

  private final Tree tree;
  private final byte[] listed;
  private final byte[] after;
  private final List<Checkpoints> all;

  private Begun(Tree tree, byte[] listed, byte[] after, List<Checkpoints> all) {
    this.tree = tree;
    this.listed = listed;
    this.after = after;
    this.all = all;
  }

  /** Nothing is passed over. */
  static Begun shown(Tree tree) {
    return new Begun(tree, Keys.NOTHING, Keys.NOTHING, List.of());
  }

  /**
   * What a listing of a prefix passes over.
   *
   * @param view what the tree reads
   */
  static Begun hidden(SortedMap.View view, Tree tree, NamespaceQuery.ListObjects query) {
    return new Begun(
        tree,
        Keys.utf8(query.prefix()),
        Keys.utf8(query.startAfter()),
        Queries.policies(view, query.bucket()).stream()
            .filter(PrefixPolicy::ofCheckpoints)
            .map(policy -> new Checkpoints(Keys.utf8(policy.prefix()), Keys.utf8(policy.marker())))
            .toList());
  }

  /** Whether a directory is passed over, with all that lies below it. */
  boolean hides(byte[] path, InodeId directory) {
    if (path.length <= listed.length) {
      return false; // named by whoever lists
    }
    if (after.length > path.length && Keys.startsWith(after, path)) {
      return false;
    }
    for (Checkpoints each : all) {
      if (Keys.startsWith(path, each.prefix)
          && path.length > each.prefix.length
          && Tree.slash(path, each.prefix.length) == path.length) {
        return Rule.POLICY_HIDDEN.holds() && tree.file(directory, each.marker).isEmpty();
      }
    }
    return false;
  }

  /** Whether directories may lie below this one that are passed over. */
  boolean mayHideBelow(byte[] path) {
    for (Checkpoints each : all) {
      if (Keys.startsWith(each.prefix, path)) {
        return true;
      }
    }
    return false;
  }
}
