/** gocker's own table, of the family `inet`. Nothing outside it is touched. */
export const tableName = "gocker";

/**
 * What the table says of itself. The number is that of its rules: it grows with each change of them, so that a table of an
 * older gocker is not taken for one of this.
 */
export const tableComment = "gocker 2";

/** For errors. */
export const tablePath = `table inet ${tableName}`;
