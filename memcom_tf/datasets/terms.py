"""The terms under which data that this package can fetch may be used."""

MOVIELENS_TERMS = """\
MovieLens 100K is the data of GroupLens Research at the University of Minnesota. Its terms of use:
- Neither the University of Minnesota nor any of the researchers involved can guarantee the
  correctness of the data, its suitability for any particular purpose, or the validity of results
  based on its use.
- You may not state or imply any endorsement from the University of Minnesota or the GroupLens
  Research Group.
- You must acknowledge the use of the data set in publications: F. Maxwell Harper and Joseph A.
  Konstan. 2015. The MovieLens Datasets: History and Context. ACM Transactions on Interactive
  Intelligent Systems 5, 4, Article 19. https://doi.org/10.1145/2827872
- You may not redistribute the data without separate permission.
- You may not use it for any commercial or revenue-bearing purposes without first obtaining
  permission from a faculty member of the GroupLens Research Project."""
